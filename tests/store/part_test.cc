// SPDX-License-Identifier: Apache-2.0
#include "lib/store/part.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/store/store_fixture.h"

namespace ra::store {
namespace {

using namespace testing;  // the fixture and the sample

class PartTest : public StoreTest {};

TEST_F(PartTest, OverflowStopsUnlessAllowedToSaturate) {
  const Sample s = sample_dump();
  Matrix<float> q(1, 32), k(1, 16), v(1, 12);
  k.row(0)[9] = -70000;
  const auto write = [&](bool saturate) {
    WriterOptions options{.out = out_, .allow_saturate = saturate};
    const auto writer = DumpWriter::create(s.info, options);
    for (const int layer : s.info.layers) writer->append(layer, 0, q.view(), k.view(), v.view());
    feed(*writer, s, 1, 50, 8);
    writer->finish(s.ids, {}, {});
  };
  const Error e = error_of([&] { write(false); });
  EXPECT_EQ(e.code(), Exit::kBadData);
  EXPECT_EQ(e.text().where, "layer 0, k, token 0");
  EXPECT_NE(e.text().why.find("-70000"), std::string::npos) << e.what();
  EXPECT_FALSE(fs::exists(out_));
  write(true);
  EXPECT_EQ(DumpReader::open(out_)->read_k(2, 1, 0, 1).row(0)[1], -65504);
  EXPECT_NE(read_file(out_).find("saturated"), std::string::npos);
}

TEST_F(PartTest, NotANumberStops) {
  const Sample s = sample_dump(DType::kF32);
  Matrix<float> q(2, 32), k(2, 16), v(2, 12);
  v.row(1)[3] = NAN;
  const auto writer = DumpWriter::create(s.info, {.out = out_, .allow_saturate = true});
  const Error e = error_of([&] { writer->append(2, 0, q.view(), k.view(), v.view()); });
  EXPECT_EQ(e.code(), Exit::kBadData);
  EXPECT_EQ(e.text().where, "layer 2, v, token 1");
}

}  // namespace
}  // namespace ra::store
