// SPDX-License-Identifier: Apache-2.0
#include "lib/store/vector_set.h"

#include <gtest/gtest.h>

#include "lib/core/rng.h"
#include "tests/store/store_fixture.h"

namespace ra::store {
namespace {

using namespace testing;  // the fixture and the sample

class VectorSetTest : public StoreTest {};

TEST_F(VectorSetTest, MissingOrChangedPartsAreRefused) {
  const Sample s = sample_dump();
  WriterOptions options = small_parts();
  options.single_limit = 1000;
  write_sample(s, options);
  const auto names = names_in(parts_);
  for (const std::string& name : names) {
    const std::string bytes = read_file(parts_ / name);
    fs::remove(parts_ / name);
    EXPECT_EQ(error_of([&] { DumpReader::open(out_); }).code(), Exit::kBadData) << name;
    write_text(parts_ / name, bytes + "x");
    EXPECT_EQ(error_of([&] { DumpReader::open(out_); }).code(), Exit::kBadData) << name;
    write_text(parts_ / name, bytes);
  }
  expect_sample(out_, s);
  options.force = true;  // would write into the folder that the old dump needs
  EXPECT_EQ(error_of([&] { write_sample(s, options); }).code(), Exit::kCannotCreate);
  expect_sample(out_, s);
}

TEST_F(VectorSetTest, ManifestFlipsAreRefused) {
  const Sample s = sample_dump();
  WriterOptions options = small_parts();
  options.single_limit = 1000;
  write_sample(s, options);
  const std::string whole = read_file(parts_ / "manifest.jsonl");
  Rng rng(2);
  for (int i = 0; i < 300; ++i) {
    std::string bytes = whole;
    const std::uint64_t bit = rng.below(whole.size() * 8);
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << (bit % 8)));
    write_text(parts_ / "manifest.jsonl", bytes);
    ASSERT_EQ(error_of([&] { DumpReader::open(out_); }).code(), Exit::kBadData) << bit;
  }
}

}  // namespace
}  // namespace ra::store
