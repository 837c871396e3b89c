// SPDX-License-Identifier: Apache-2.0
#include "lib/core/text_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <string_view>

#include "lib/core/error.h"
#include "lib/core/utf8.h"

namespace ra {
namespace fs = std::filesystem;

std::string read_bytes(const fs::path& file) {
  struct Fd {
    int fd;
    ~Fd() {
      if (fd >= 0) ::close(fd);
    }
  };
  // O_NONBLOCK: opening a FIFO must not wait for a writer.
  const Fd in{::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  if (in.fd < 0)
    fail(errno == EACCES ? Exit::kPermission : Exit::kNoInput,
         {.what = "cannot open", .file = file.string(), .where = "", .why = std::strerror(errno)});
  struct stat s {};
  if (::fstat(in.fd, &s) != 0 || !S_ISREG(s.st_mode))
    fail(Exit::kNoInput,
         {.what = "cannot open", .file = file.string(), .where = "", .why = "not a regular file"});
  std::string text(static_cast<std::size_t>(s.st_size), '\0');
  std::size_t done = 0;
  while (done < text.size()) {
    const ssize_t n = ::read(in.fd, text.data() + done, text.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0)
      fail(Exit::kIo, {.what = "cannot read",
                       .file = file.string(),
                       .where = fmt::format("byte {}", done),
                       .why = n < 0 ? std::strerror(errno) : "the file became shorter"});
    done += static_cast<std::size_t>(n);
  }
  return text;
}

std::string read_text_file(const fs::path& file, Utf8 utf8) {
  std::string text = read_bytes(file);
  const auto offset = first_invalid_utf8(text);
  if (!offset) return text;
  if (utf8 == Utf8::kReplace) return replace_invalid_utf8(text);
  fail_bad_data({.what = "bad text",
                 .file = file.string(),
                 .where = fmt::format("byte {}", *offset),
                 .why = fmt::format("0x{:02x} is not valid UTF-8 here",
                                    static_cast<unsigned char>(text[*offset])),
                 .hint = "--utf8 replace puts U+FFFD in its place"});
}

std::vector<std::int32_t> read_ids_file(const fs::path& file) {
  const std::string text = read_bytes(file);
  std::string_view rest = text;
  while (!rest.empty() && (rest.back() == '\n' || rest.back() == '\r')) rest.remove_suffix(1);
  std::vector<std::int32_t> ids;
  for (std::size_t line = 1; !rest.empty(); ++line) {
    const std::size_t end = rest.find('\n');
    std::string_view word = rest.substr(0, end);
    rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
    if (!word.empty() && word.back() == '\r') word.remove_suffix(1);
    std::int32_t id = 0;
    const auto [stop, error] = std::from_chars(word.data(), word.data() + word.size(), id);
    if (error != std::errc{} || stop != word.data() + word.size() || id < 0)
      fail_bad_data(
          {.what = "bad token id",
           .file = file.string(),
           .where = fmt::format("line {}", line),
           .why = fmt::format("'{}' is not an integer in 0..2147483647", word.substr(0, 40))});
    ids.push_back(id);
  }
  return ids;
}

}  // namespace ra
