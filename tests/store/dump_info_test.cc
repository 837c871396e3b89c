// SPDX-License-Identifier: Apache-2.0
#include "lib/store/dump_info.h"

#include <cmath>

#include "lib/store/hdf5.h"
#include "tests/store/store_fixture.h"

namespace ra::store {
namespace {

using namespace testing;

// A good dump in which one thing is changed with plain HDF5 calls.
class DumpInfoTest : public StoreTest {
 protected:
  DumpInfoTest() {
    write_sample(sample_dump(), {.out = out_});
    good_ = read_file(out_);
  }
  std::string where_after(const std::function<void(hid_t)>& change) {
    write_text(out_, good_);
    {
      const auto lock = hdf5_lock();
      const Hid fapl = file_access();
      const Hid h5(H5Fopen(out_.c_str(), H5F_ACC_RDWR, fapl.get()), H5Fclose);
      EXPECT_TRUE(h5);
      change(h5.get());
    }
    const Error e = error_of([&] { DumpReader::open(out_); });
    EXPECT_TRUE(e.code() == Exit::kBadData || e.code() == Exit::kOk) << e.what();
    return e.code() == Exit::kOk ? "" : e.text().where;
  }
  template <class T>
  static void set(hid_t object, const char* name, hid_t type, const T& value) {
    if (H5Aexists(object, name) > 0) {
      EXPECT_GE(H5Adelete(object, name), 0);
    }
    const Hid space(H5Screate(H5S_SCALAR), H5Sclose);
    const Hid a(H5Acreate2(object, name, type, space.get(), H5P_DEFAULT, H5P_DEFAULT), H5Aclose);
    EXPECT_GE(H5Awrite(a.get(), type, &value), 0);
  }
  static void set_text(hid_t object, const char* name, const std::string& value) {
    const Hid type(H5Tcopy(H5T_C_S1), H5Tclose);
    H5Tset_size(type.get(), value.size());
    EXPECT_GE(H5Adelete(object, name), 0);
    const Hid space(H5Screate(H5S_SCALAR), H5Sclose);
    const Hid a(H5Acreate2(object, name, type.get(), space.get(), H5P_DEFAULT, H5P_DEFAULT),
                H5Aclose);
    EXPECT_GE(H5Awrite(a.get(), type.get(), value.data()), 0);
  }
  template <class T>
  static void set_element(hid_t file, const char* path, hid_t type, hsize_t index, T value) {
    const Hid d(H5Dopen2(file, path, H5P_DEFAULT), H5Dclose);
    const Hid space(H5Dget_space(d.get()), H5Sclose);
    const hsize_t one = 1;
    const Hid memory(H5Screate_simple(1, &one, nullptr), H5Sclose);
    EXPECT_GE(H5Sselect_hyperslab(space.get(), H5S_SELECT_SET, &index, nullptr, &one, nullptr), 0);
    EXPECT_GE(H5Dwrite(d.get(), type, memory.get(), space.get(), H5P_DEFAULT, &value), 0);
  }
  std::string good_;
};

TEST_F(DumpInfoTest, UnknownNamesAreIgnored) {
  EXPECT_EQ(where_after([](hid_t f) {
              set(f, "new_thing", H5T_NATIVE_INT64, std::int64_t{1});
              const Hid g(H5Gcreate2(f, "later", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT), H5Gclose);
            }),
            "");
}

TEST_F(DumpInfoTest, EachAttributeIsRequired) {
  for (const char* name :
       {"format",      "format_version", "tool_version", "git_commit",   "command_line",
        "created_utc", "seed",           "model_file",   "model_sha256", "architecture",
        "model_name",  "n_layers",       "n_heads",      "n_kv_heads",   "head_dim",
        "value_dim",   "rope_style",     "rope_base",    "rope_scaling", "dtype",
        "n_tokens",    "n_prefill",      "complete"})
    EXPECT_EQ(where_after([&](hid_t f) { EXPECT_GE(H5Adelete(f, name), 0); }),
              std::string("/@") + name);
}

TEST_F(DumpInfoTest, ValuesAreChecked) {
  const auto number = [&](const char* name, std::int64_t value) {
    return where_after([&](hid_t f) { set(f, name, H5T_NATIVE_INT64, value); });
  };
  EXPECT_EQ(number("format_version", 2), "/@format_version");
  EXPECT_EQ(number("n_layers", 0), "/@n_layers");
  EXPECT_EQ(number("n_layers", 5000), "/@n_layers");
  EXPECT_EQ(number("n_heads", 5), "/@n_heads");
  EXPECT_EQ(number("n_kv_heads", 8), "/@n_kv_heads");
  EXPECT_EQ(number("n_kv_heads", 4), "/layers/00/k");  // plausible, but the vectors disagree
  EXPECT_EQ(number("head_dim", 16), "/layers/00/q");
  EXPECT_EQ(number("value_dim", -1), "/@value_dim");
  EXPECT_EQ(number("value_dim", 8), "/layers/00/v");
  EXPECT_EQ(number("n_tokens", 49), "/tokens/ids");
  EXPECT_EQ(number("n_tokens", std::int64_t{1} << 40), "/@n_tokens");
  EXPECT_EQ(number("n_prefill", 51), "/@n_prefill");
  EXPECT_EQ(number("n_prefill", 41), "/phase");
  EXPECT_EQ(number("seed", 3), "/@seed");  // i64 in place of u64
  EXPECT_EQ(where_after([](hid_t f) { set(f, "complete", H5T_NATIVE_UINT8, std::uint8_t{0}); }),
            "/@complete");
  EXPECT_EQ(where_after([](hid_t f) { set(f, "rope_base", H5T_NATIVE_DOUBLE, std::nan("")); }),
            "/@rope_base");
  const auto text = [&](const char* name, const std::string& value) {
    return where_after([&](hid_t f) { set_text(f, name, value); });
  };
  EXPECT_EQ(text("format", "other"), "/@format");
  EXPECT_EQ(text("dtype", "f64"), "/@dtype");
  EXPECT_EQ(text("dtype", "bf16"), "/layers/00/q");  // same size, other type
  EXPECT_EQ(text("rope_style", "twisted"), "/@rope_style");
}

TEST_F(DumpInfoTest, ListsAreChecked) {
  EXPECT_EQ(where_after([](hid_t f) {
              for (const char* path : {"/layers/00/q_pos", "/layers/02/q_pos", "/layers/03/q_pos"})
                set_element(f, path, H5T_NATIVE_INT64, 3, std::int64_t{1});
            }),
            "/layers/00/q_pos");  // not ascending
  EXPECT_EQ(where_after([](hid_t f) {
              set_element(f, "/layers/02/q_pos", H5T_NATIVE_INT64, 0, std::int64_t{0});
            }),
            "/layers/02/q_pos");  // differs from the first layer's
  EXPECT_EQ(
      where_after([](hid_t f) { set_element(f, "/phase", H5T_NATIVE_UINT8, 0, std::uint8_t{1}); }),
      "/phase");
}

TEST_F(DumpInfoTest, AttributesOfTheQueriesAreChecked) {
  const auto with = [&](const char* name, hid_t type, auto value) {
    return where_after([&](hid_t f) {
      const Hid q(H5Dopen2(f, "/layers/02/q", H5P_DEFAULT), H5Dclose);
      set(q.get(), name, type, value);
    });
  };
  EXPECT_EQ(with("sliding_window", H5T_NATIVE_INT64, std::int64_t{512}), "");
  EXPECT_EQ(with("sliding_window", H5T_NATIVE_INT64, std::int64_t{0}),
            "/layers/02/q@sliding_window");
  EXPECT_EQ(with("sliding_window", H5T_NATIVE_DOUBLE, 512.0), "/layers/02/q@sliding_window");
  EXPECT_EQ(with("rope_base", H5T_NATIVE_DOUBLE, 1e4), "");
  EXPECT_EQ(with("softcap", H5T_NATIVE_DOUBLE, 50.0), "/layers/02/q");
  EXPECT_EQ(with("post_rope", H5T_NATIVE_UINT8, std::uint8_t{0}), "/layers/02/q");
  EXPECT_EQ(with("scale", H5T_NATIVE_DOUBLE, 0.5), "/layers/02/q");  // unlike the first layer's
}

}  // namespace
}  // namespace ra::store
