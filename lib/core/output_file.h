// SPDX-License-Identifier: Apache-2.0
// Atomic output: work goes into TARGET.partial.PID beside the target and is renamed into place when
// it is whole and on disk. A failure leaves no target, or the previous one untouched.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "lib/core/error.h"

namespace ra {

// ---- before any compute ------------------------------------------------------------------------

// Checks that `target` can be created: its folder exists and may be written, and the target is
// absent, or a regular file and `force`. Throws Error 73, 77.
void check_output(const std::filesystem::path& target, bool force);

// Compares the free space of the target's file system with `bytes` + 5 %. Throws Error{kIo} with
// both.
void check_free_space(const std::filesystem::path& target, std::uint64_t bytes);

// TARGET.lock with the owner's pid inside, held until destruction. The kernel's file lock decides,
// so the lock of a dead process is free. Throws Error{kCannotCreate} naming the pid that holds it.
class OutputLock {
 public:
  explicit OutputLock(const std::filesystem::path& target);
  ~OutputLock();
  OutputLock(const OutputLock&) = delete;
  OutputLock& operator=(const OutputLock&) = delete;

 private:
  std::filesystem::path path_;
  int fd_ = -1;
};

// Removes TARGET.partial.* left by dead processes; call with the lock held.
void remove_stale_partials(const std::filesystem::path& target);

// All of that in order, for an output of about `bytes`.
std::unique_ptr<OutputLock> claim_output(const std::filesystem::path& target, bool force,
                                         std::uint64_t bytes);

// ---- writing -----------------------------------------------------------------------------------

class OutputFile {
 public:
  // Opens TARGET.partial.PID. With `expected_bytes` the space is reserved where the file system
  // can. Throws Error 73, 74, 77.
  OutputFile(std::filesystem::path target, bool force, std::uint64_t expected_bytes = 0);
  ~OutputFile();  // without commit: the partial file is removed
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  // All bytes or Error{kIo} that names path, offset, bytes needed and bytes free.
  void write_at(std::uint64_t offset, std::span<const std::byte> bytes);
  void append(std::span<const std::byte> bytes) { write_at(size_, bytes); }
  void append(std::string_view text) { append(std::as_bytes(std::span(text.data(), text.size()))); }
  // Bytes past the end read as zero.
  void read_at(std::uint64_t offset, std::span<std::byte> bytes) const;
  std::uint64_t size() const { return size_; }  // end of the last byte written
  const std::filesystem::path& target() const { return target_; }
  const std::filesystem::path& partial() const { return partial_; }

  // fsync, close, rename, fsync of the folder. Without `force` an existing target is never
  // replaced, even if it appeared meanwhile (73).
  void commit();

 private:
  std::filesystem::path target_, partial_;
  bool force_ = false;
  int fd_ = -1;
  std::uint64_t size_ = 0, expected_bytes_ = 0;
};

// Writes a small file by the same protocol.
void write_file(const std::filesystem::path& target, std::string_view bytes, bool force);

// Appends `line` + '\n' with one write and syncs; a torn last line is cut off first. Writers of one
// file wait for each other. A failure leaves the lines that were there, and no new file.
void append_line(const std::filesystem::path& file, std::string_view line);

// Creates one folder unless it is there, and makes it durable. Throws Error 73, 77.
void make_folder(const std::filesystem::path& folder);

// fsync of a folder, so that a rename or removal in it is durable. Throws Error{kIo}.
void sync_folder(const std::filesystem::path& folder);

// ---- for tests ---------------------------------------------------------------------------------

enum class FileOp { kOpen, kReserve, kWrite, kSync, kClose, kRename };
struct FileFault {
  int error = 0;                   // errno to fail with; 0 = none
  std::size_t at_most = SIZE_MAX;  // a write takes at most this many bytes
};
// Asked before each operation of this file; empty = no faults. Tests only, not thread-safe.
void set_file_fault_hook(std::function<FileFault(FileOp)> hook);

}  // namespace ra
