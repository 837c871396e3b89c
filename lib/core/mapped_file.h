// SPDX-License-Identifier: Apache-2.0
// Read-only contents of a regular file, mapped or read into memory, that notices when the file is
// changed behind its back.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <ctime>
#include <filesystem>
#include <span>
#include <string>

#include "lib/core/matrix.h"

namespace ra {

enum class MapMode : std::uint8_t { kMap, kRead };

class MappedFile {
 public:
  // Throws Error: kNoInput (no such file, or a directory, FIFO, device or socket), kPermission,
  // kNoMemory (kRead: the contents do not fit), kIo.
  // With kMap the first call installs a SIGBUS handler on its own stack: a file that is truncated
  // while mapped ends the process with one line and exit 74. kRead never meets SIGBUS.
  explicit MappedFile(const std::filesystem::path& path, MapMode mode = MapMode::kMap);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  // Starts on a page (kMap) or 64-byte (kRead) boundary; empty for an empty file.
  std::span<const std::byte> bytes() const { return bytes_; }
  const std::filesystem::path& path() const { return path_; }

  // Throws Error{kIo} if the file at path() is gone or another one, or if its size or modification
  // time differs from what was opened.
  void check_unchanged() const;

 private:
  struct Identity {
    dev_t device = 0;
    ino_t inode = 0;
    off_t size = 0;
    timespec modified{};
  };

  void map(int fd, std::size_t size);
  void read(int fd, std::size_t size);

  std::filesystem::path path_;
  std::string printable_;  // escaped path: the signal handler may not allocate
  std::span<const std::byte> bytes_;
  Identity identity_;
  AlignedBuffer<std::byte> buffer_;  // kRead only
  bool mapped_ = false;
  int watch_ = -1;  // slot in the table of the SIGBUS handler
};

}  // namespace ra
