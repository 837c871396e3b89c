// SPDX-License-Identifier: Apache-2.0
#include "lib/store/file_driver.h"

#include <cerrno>
#include <stdexcept>

#include "lib/store/dataset.h"
#include "tests/store/store_fixture.h"

namespace ra::store {
namespace {

using namespace testing;

class FileDriverTest : public StoreTest {
 protected:
  void write(std::size_t n) {
    const auto lock = hdf5_lock();
    Hdf5Output out(out_, true, 0);
    const std::vector<std::int32_t> values(n, 7);
    create_group(out, "/g");
    write_list(out, "/g/x", H5T_STD_I32LE, values.data(), n, 4);
    out.commit([](const fs::path&) {});
  }
};

TEST_F(FileDriverTest, FileIsWholeAndReadableByThePlainDriver) {
  write(300000);
  const auto lock = hdf5_lock();
  const Hid h5 = open_file(out_);
  const Hid x = open_exact(out_, h5.get(), "/g/x", H5T_STD_I32LE, {300000});
  std::vector<std::int32_t> values(300000);
  ASSERT_GE(H5Dread(x.get(), H5T_NATIVE_INT32, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()), 0);
  EXPECT_EQ(std::count(values.begin(), values.end(), 7), 300000);
  hsize_t size = 0;
  ASSERT_GE(H5Fget_filesize(h5.get(), &size), 0);
  EXPECT_EQ(size, fs::file_size(out_));
  EXPECT_EQ(names_in(folder_.path()), std::vector<std::string>{"d.h5"});
}

TEST_F(FileDriverTest, EveryFailingWriteIsReportedOnceAndLeavesNothing) {
  int writes = 0;
  set_file_fault_hook([&](FileOp op) {
    writes += op == FileOp::kWrite ? 1 : 0;
    return FileFault{};
  });
  write(300000);
  fs::remove(out_);
  ASSERT_GT(writes, 3);
  for (int nth = 0; nth < writes; ++nth) {
    int seen = 0;
    set_file_fault_hook(
        [&](FileOp op) { return FileFault{op == FileOp::kWrite && seen++ == nth ? ENOSPC : 0}; });
    const Error e = error_of([&] { write(300000); });
    EXPECT_EQ(e.code(), Exit::kIo) << nth << e.what();
    EXPECT_NE(e.text().why.find("No space left"), std::string::npos) << e.what();
    EXPECT_TRUE(names_in(folder_.path()).empty());
  }
  set_file_fault_hook({});
  write(3);  // the library is unharmed
  EXPECT_TRUE(fs::exists(out_));
}

TEST_F(FileDriverTest, AnExceptionOnTheWayLeavesNothing) {
  const auto lock = hdf5_lock();
  EXPECT_THROW(
      {
        Hdf5Output out(out_, false, 0);
        create_group(out, "/g");
        throw std::runtime_error("stop");
      },
      std::runtime_error);
  EXPECT_TRUE(names_in(folder_.path()).empty());
}

TEST_F(FileDriverTest, AFailingCallIsAnInternalErrorThatNamesIt) {
  const auto lock = hdf5_lock();
  Hdf5Output out(out_, false, 0);
  create_group(out, "/g");
  const Error e = error_of([&] { create_group(out, "/g"); });
  EXPECT_EQ(e.code(), Exit::kInternal);
  EXPECT_EQ(e.text().where, "/g");
}

}  // namespace
}  // namespace ra::store
