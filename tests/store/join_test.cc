// SPDX-License-Identifier: Apache-2.0
#include "lib/store/join.h"

#include <gtest/gtest.h>

#include "tests/store/store_fixture.h"

namespace ra::store {
namespace {

using namespace testing;  // the fixture and the sample

class JoinTest : public StoreTest {};

TEST_F(JoinTest, SameBytesHoweverItWasCut) {
  const Sample s = sample_dump();
  write_sample(s, {.out = out_});
  const std::string whole = read_file(out_);
  WriterOptions options = small_parts();
  options.force = true;
  write_sample(s, options);
  EXPECT_TRUE(read_file(out_) == whole);
}

TEST_F(JoinTest, StaysInPartsAboveTheLimit) {
  for (const DType type : {DType::kF16, DType::kBf16, DType::kF32}) {
    const Sample s = sample_dump(type);
    WriterOptions options = small_parts();
    options.single_limit = 1000;
    write_sample(s, options);
    EXPECT_GT(names_in(parts_).size(), 3u);
    expect_sample(out_, s);
    fs::create_directory(folder_ / "moved");
    fs::rename(out_,
               folder_ / "moved/other.h5");  // parts travel with the dump; its name may change
    fs::rename(parts_, folder_ / "moved/d.h5.parts");
    expect_sample(folder_ / "moved/other.h5", s);
    fs::remove_all(folder_ / "moved");
  }
}

}  // namespace
}  // namespace ra::store
