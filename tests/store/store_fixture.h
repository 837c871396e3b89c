// SPDX-License-Identifier: Apache-2.0
// What the tests of this module share: a folder with one dump to be, and what went wrong.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "lib/core/error.h"
#include "lib/core/output_file.h"
#include "tests/store/sample_dump.h"
#include "tests/support/temp_folder.h"

namespace ra::store::testing {

namespace fs = std::filesystem;
using ra::testing::read_file;
using ra::testing::TempFolder;
using ra::testing::write_text;

// The error of `f`, or one with Exit::kOk.
inline Error error_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& e) {
    return e;
  }
  return Error(Exit::kOk, {});
}

inline std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& e : fs::directory_iterator(folder)) names.push_back(e.path().filename());
  std::sort(names.begin(), names.end());
  return names;
}

class StoreTest : public ::testing::Test {
 protected:
  ~StoreTest() override { set_file_fault_hook({}); }
  // Parts of 16 prompt tokens and a few generated ones.
  WriterOptions small_parts() const { return {.out = out_, .part_bytes = 6000, .append_rows = 8}; }
  // Parts that hold one layer each.
  WriterOptions tiny_parts() const { return {.out = out_, .part_bytes = 900, .append_rows = 8}; }
  // Writes the dump in many parts that stay.
  WriterOptions kept_parts() const {
    WriterOptions options = small_parts();
    options.single_limit = 1000;
    return options;
  }
  TempFolder folder_;
  const fs::path out_ = folder_ / "d.h5", parts_ = folder_ / "d.h5.parts";
};

}  // namespace ra::store::testing
