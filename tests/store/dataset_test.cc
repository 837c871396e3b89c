// SPDX-License-Identifier: Apache-2.0
#include "lib/store/dataset.h"

#include <sys/stat.h>

#include "tests/store/store_fixture.h"

namespace ra::store {
namespace {

using namespace testing;

// A file made with plain HDF5 calls, as somebody else might.
class DatasetTest : public StoreTest {
 protected:
  void make(const std::function<void(hid_t)>& fill) {
    const auto lock = hdf5_lock();
    const Hid h5(H5Fcreate(out_.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT), H5Fclose);
    ASSERT_TRUE(h5);
    fill(h5.get());
  }
  // [4, 6] i32 named x.
  static Hid table(hid_t file, hid_t dcpl, bool write = true) {
    const hsize_t dims[] = {4, 6};
    const Hid space(H5Screate_simple(2, dims, nullptr), H5Sclose);
    Hid x(H5Dcreate2(file, "x", H5T_STD_I32LE, space.get(), H5P_DEFAULT, dcpl, H5P_DEFAULT),
          H5Dclose);
    const std::vector<std::int32_t> values(24, 3);
    if (write) {
      EXPECT_GE(H5Dwrite(x.get(), H5T_NATIVE_INT32, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()),
                0);
    }
    return x;
  }
  static Hid plist(const std::function<void(hid_t)>& set) {
    Hid p(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
    set(p.get());
    return p;
  }
  static void chunk(hid_t p) {
    const hsize_t c[] = {2, 6};
    EXPECT_GE(H5Pset_chunk(p, 2, c), 0);
  }
  Error open(const std::string& path = "/x", std::vector<hsize_t> dims = {4, 6}) {
    return error_of([&] {
      const auto lock = hdf5_lock();
      const Hid h5 = open_file(out_);
      (void)open_exact(out_, h5.get(), path, H5T_STD_I32LE, dims);
    });
  }
  std::string refusal(const std::string& path = "/x", std::vector<hsize_t> dims = {4, 6}) {
    const Error e = open(path, std::move(dims));
    EXPECT_EQ(e.code(), Exit::kBadData);
    return e.text().why;
  }
};

TEST_F(DatasetTest, OrdinaryStorageIsAccepted) {
  for (const auto& set : std::vector<std::function<void(hid_t)>>{
           [](hid_t) {}, [](hid_t p) { H5Pset_layout(p, H5D_COMPACT); }, chunk,
           [](hid_t p) {
             chunk(p);
             H5Pset_shuffle(p);
             H5Pset_deflate(p, 3);
             H5Pset_fletcher32(p);
           }}) {
    make([&](hid_t file) { table(file, plist(set).get()); });
    EXPECT_EQ(open().code(), Exit::kOk) << open().what();
  }
}

TEST_F(DatasetTest, WrongNameRankTypeAndShape) {
  make([](hid_t file) { table(file, H5P_DEFAULT); });
  EXPECT_EQ(refusal("/y"), "is missing");
  EXPECT_EQ(refusal("/y/z"), "is missing");
  EXPECT_EQ(refusal("/x", {4, 6, 1}), "has rank 2, must be 3");
  EXPECT_EQ(refusal("/x", {4, 5}), "has shape [4,6], must be [4,5]");
  const Error e = error_of([&] {
    const auto lock = hdf5_lock();
    const Hid h5 = open_file(out_);
    (void)open_exact(out_, h5.get(), "/x", H5T_STD_U32LE, {4, 6});
  });
  EXPECT_EQ(e.text().why, "is not of the type that the file says");
}

TEST_F(DatasetTest, GroupInPlaceOfADataset) {
  make([](hid_t file) {
    const Hid g(H5Gcreate2(file, "x", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT), H5Gclose);
  });
  EXPECT_EQ(open().code(), Exit::kBadData);
}

TEST_F(DatasetTest, LinksThatLeadElsewhere) {
  make([](hid_t file) {
    table(file, H5P_DEFAULT);
    ASSERT_GE(H5Lcreate_soft("/x", file, "soft", H5P_DEFAULT, H5P_DEFAULT), 0);
    ASSERT_GE(H5Lcreate_external("/etc/passwd", "/x", file, "external", H5P_DEFAULT, H5P_DEFAULT),
              0);
  });
  EXPECT_EQ(refusal("/soft"), "is missing");
  EXPECT_EQ(refusal("/external"), "is missing");
  EXPECT_EQ(refusal("/external/x"), "is missing");
}

TEST_F(DatasetTest, StorageOutsideTheFile) {
  write_text(folder_ / "raw", std::string(96, 'x'));
  make([&](hid_t file) {
    const Hid p = plist([&](hid_t id) { H5Pset_external(id, (folder_ / "raw").c_str(), 0, 96); });
    table(file, p.get(), false);
  });
  EXPECT_EQ(refusal(), "keeps its data in other files");
  make([&](hid_t file) {
    const hsize_t dims[] = {4, 6};
    const Hid space(H5Screate_simple(2, dims, nullptr), H5Sclose);
    const Hid p = plist([&](hid_t id) {
      EXPECT_GE(H5Pset_virtual(id, space.get(), "/etc/passwd", "x", space.get()), 0);
    });
    table(file, p.get(), false);
  });
  EXPECT_EQ(refusal(), "has a storage class other than chunked, contiguous or compact");
}

TEST_F(DatasetTest, UnknownFiltersHugeChunksAndMissingChunks) {
  make([&](hid_t file) {
    table(file, plist([](hid_t p) {
                  chunk(p);
                  EXPECT_GE(H5Pset_scaleoffset(p, H5Z_SO_INT, 4), 0);
                }).get());
  });
  EXPECT_EQ(refusal(), "uses filter 6");
  make([](hid_t file) {
    const hsize_t c[] = {1 << 14, 1 << 12}, dims[] = {1 << 15, 1 << 12};
    const Hid p = plist([&](hid_t id) { H5Pset_chunk(id, 2, c); });
    const Hid space(H5Screate_simple(2, dims, nullptr), H5Sclose);
    const Hid x(
        H5Dcreate2(file, "x", H5T_STD_I32LE, space.get(), H5P_DEFAULT, p.get(), H5P_DEFAULT),
        H5Dclose);
  });
  EXPECT_EQ(refusal("/x", {1 << 15, 1 << 12}), "has chunks above 67108864 bytes");
  make([&](hid_t file) { table(file, plist(chunk).get(), false); });
  EXPECT_EQ(refusal(), "has 0 of 2 chunks");
  make([&](hid_t file) { table(file, H5P_DEFAULT, false); });
  EXPECT_EQ(refusal(), "was never written");
}

TEST_F(DatasetTest, OpeningWhatIsNoFile) {
  const auto code = [&](const fs::path& path) {
    return error_of([&] {
             const auto lock = hdf5_lock();
             (void)open_file(path);
           })
        .code();
  };
  ASSERT_EQ(mkfifo((folder_ / "fifo").c_str(), 0600), 0);
  EXPECT_EQ(code(folder_ / "fifo"), Exit::kNoInput);  // and does not wait for a writer
  EXPECT_EQ(code(folder_ / "none"), Exit::kNoInput);
  EXPECT_EQ(code("/dev/zero"), Exit::kNoInput);
  write_text(folder_ / "empty", "");
  EXPECT_EQ(code(folder_ / "empty"), Exit::kBadData);
}

}  // namespace
}  // namespace ra::store
