// SPDX-License-Identifier: Apache-2.0
#include "lib/store/attributes.h"

#include "lib/store/dataset.h"
#include "tests/store/store_fixture.h"

namespace ra::store {
namespace {

using namespace testing;

class AttributesTest : public StoreTest {
 protected:
  // Writes with `fill(writer, file id)` and reads with `look(reader)`.
  void round_trip(const std::function<void(const AttributeWriter&, hid_t)>& fill,
                  const std::function<void(const AttributeReader&)>& look) {
    const auto lock = hdf5_lock();
    {
      Hdf5Output out(out_, true, 0);
      fill(AttributeWriter(out, out.id()), out.id());
      out.commit([](const fs::path&) {});
    }
    const Hid h5 = open_file(out_);
    look(AttributeReader(out_, "/", h5.get()));
  }
};

TEST_F(AttributesTest, RoundTrip) {
  const std::string long_text(50000, 'x');
  round_trip(
      [&](const AttributeWriter& a, hid_t) {
        a.text("empty", "");
        a.text("name", "\xe2\x82\xac'\"");
        a.text("long", long_text);
        a.text("too_long", std::string(100000, 'y'));
        a.i64("i", INT64_MIN);
        a.u64("u", UINT64_MAX);
        a.u8("b", 255);
        a.f64("f", -0.1);
      },
      [&](const AttributeReader& a) {
        EXPECT_EQ(a.text("empty"), "");
        EXPECT_EQ(a.text("name"), "\xe2\x82\xac'\"");
        EXPECT_EQ(a.text("long"), long_text);
        EXPECT_EQ(a.text("too_long").size(), 60000u);
        EXPECT_EQ(a.i64("i"), INT64_MIN);
        EXPECT_EQ(a.u64("u"), UINT64_MAX);
        EXPECT_EQ(a.u8("b"), 255);
        EXPECT_EQ(a.f64("f"), -0.1);
        EXPECT_FALSE(a.has("other"));
      });
}

TEST_F(AttributesTest, OtherTypesShapesAndRangesAreRefused) {
  round_trip(
      [](const AttributeWriter& a, hid_t file) {
        a.i64("i", 5);
        a.f64("f", 5);
        const Hid variable(H5Tcopy(H5T_C_S1), H5Tclose);
        ASSERT_GE(H5Tset_size(variable.get(), H5T_VARIABLE), 0);
        const Hid scalar(H5Screate(H5S_SCALAR), H5Sclose);
        const Hid v(H5Acreate2(file, "v", variable.get(), scalar.get(), H5P_DEFAULT, H5P_DEFAULT),
                    H5Aclose);
        const char* text = "text";
        ASSERT_GE(H5Awrite(v.get(), variable.get(), &text), 0);
        const hsize_t two = 2;
        const Hid pair(H5Screate_simple(1, &two, nullptr), H5Sclose);
        const Hid l(H5Acreate2(file, "l", H5T_STD_I64LE, pair.get(), H5P_DEFAULT, H5P_DEFAULT),
                    H5Aclose);
        const std::int64_t values[] = {1, 2};
        ASSERT_GE(H5Awrite(l.get(), H5T_NATIVE_INT64, values), 0);
      },
      [](const AttributeReader& a) {
        const auto where = [&](const std::function<void()>& f) {
          const Error e = error_of(f);
          EXPECT_EQ(e.code(), Exit::kBadData);
          return e.text().where + " " + e.text().why;
        };
        EXPECT_EQ(where([&] { (void)a.i64("none"); }), "/@none is missing");
        EXPECT_EQ(where([&] { (void)a.i64("f"); }), "/@f is not of type i64");
        EXPECT_EQ(where([&] { (void)a.f64("i"); }), "/@i is not of type f64");
        EXPECT_EQ(where([&] { (void)a.u64("i"); }), "/@i is not of type u64");
        EXPECT_EQ(where([&] { (void)a.u8("i"); }), "/@i is not of type u8");
        EXPECT_EQ(where([&] { (void)a.text("i"); }), "/@i is no string");
        EXPECT_EQ(where([&] { (void)a.text("v"); }), "/@v is a variable-length string");
        EXPECT_EQ(where([&] { (void)a.i64("l"); }), "/@l is no scalar");
        EXPECT_EQ(where([&] { (void)a.i64("i", 6, 9); }), "/@i is 5, must be 6..9");
      });
}

}  // namespace
}  // namespace ra::store
