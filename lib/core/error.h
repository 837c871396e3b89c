// SPDX-License-Identifier: Apache-2.0
// Three kinds of failure, three tools: bad input throws ra::Error, a broken invariant is RA_CHECK
// (always on, aborts), kernels are noexcept. The one catch is in apps/cli.cc.
#pragma once

#include <exception>
#include <string>
#include <string_view>

namespace ra {

// Process exit codes (sysexits.h where one fits).
enum class Exit : int {
  kOk = 0,
  kCheckFailed = 1,
  kUsage = 2,
  kInconclusive = 3,
  kBadData = 65,
  kNoInput = 66,
  kUnavailable = 69,
  kInternal = 70,
  kNoMemory = 71,
  kCannotCreate = 73,
  kIo = 74,
  kInterrupted = 75,
  kPermission = 77,
  kBadConfig = 78,
};

// One line for a person: "WHAT: FILE: WHERE: WHY (hint)". FILE and WHERE print as "-" if empty.
struct ErrorText {
  std::string what;   // the kind of failure, "bad tensor"
  std::string file;   // path as the user gave it
  std::string where;  // byte offset, key, tensor, dataset or option
  std::string why;    // the value and the limit
  std::string hint;   // what to do about it; may be empty
};

class Error : public std::exception {
 public:
  Error(Exit code, ErrorText text);
  Exit code() const noexcept { return code_; }
  const ErrorText& text() const noexcept { return text_; }
  const char* what() const noexcept override { return line_.c_str(); }

 private:
  Exit code_;
  ErrorText text_;
  std::string line_;
};

[[noreturn]] void fail(Exit code, ErrorText text);
[[noreturn]] void fail_bad_data(ErrorText text);                                          // exit 65
[[noreturn]] void fail_usage(std::string where, std::string why, std::string hint = "");  // exit 2

// Control and direction characters and invalid UTF-8 as \xHH: names from files are safe to print.
std::string escaped(std::string_view text);

[[noreturn]] void check_failed(const char* expression, const char* file, int line);

}  // namespace ra

#define RA_CHECK(cond) \
  (static_cast<bool>(cond) ? void(0) : ::ra::check_failed(#cond, __FILE__, __LINE__))
