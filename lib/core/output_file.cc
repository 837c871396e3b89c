// SPDX-License-Identifier: Apache-2.0
#include "lib/core/output_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <system_error>
#include <utility>

namespace ra {
namespace fs = std::filesystem;
namespace {

std::function<FileFault(FileOp)> fault_hook;

FileFault fault(FileOp op) { return fault_hook ? fault_hook(op) : FileFault{}; }

// Runs `call` until it is not interrupted; -1 with errno set on failure.
template <class Call>
auto retried(FileOp op, Call&& call) -> decltype(call()) {
  for (;;) {
    if (const FileFault f = fault(op); f.error != 0) {
      errno = f.error;
    } else if (const auto result = call(); result >= 0) {
      return result;
    }
    if (errno != EINTR) return -1;
  }
}

Exit exit_of(int error) {
  if (error == EACCES || error == EPERM) return Exit::kPermission;
  if (error == ENOSPC || error == EDQUOT || error == EIO || error == EFBIG) return Exit::kIo;
  return Exit::kCannotCreate;
}

[[noreturn]] void fail_create(const fs::path& path, int error, std::string hint = "") {
  fail(exit_of(error), {.what = "cannot create",
                        .file = path.string(),
                        .where = "",
                        .why = std::strerror(error),
                        .hint = std::move(hint)});
}

fs::path folder_of(const fs::path& path) {
  const fs::path parent = path.parent_path();
  return parent.empty() ? fs::path(".") : parent;
}

std::uint64_t free_bytes(const fs::path& path) {
  struct statvfs s {};
  if (statvfs(folder_of(path).c_str(), &s) != 0) return UINT64_MAX;  // unknown
  return std::uint64_t{s.f_bavail} * s.f_frsize;
}

[[noreturn]] void fail_write(const fs::path& path, std::string where, int error,
                             std::uint64_t needed) {
  fail(Exit::kIo, {.what = "cannot write",
                   .file = path.string(),
                   .where = std::move(where),
                   .why = fmt::format("{}; needs {} bytes, {} free", std::strerror(error), needed,
                                      free_bytes(path)),
                   .hint = error == ENOSPC || error == EDQUOT ? "free some space and try again"
                           : error == EFBIG                   ? "file size limit, see ulimit -f"
                                                              : ""});
}

// Writes everything or returns the errno; `done` counts the bytes.
int write_all(int fd, std::span<const std::byte> bytes, std::uint64_t offset, bool append,
              std::size_t& done) {
  while (done < bytes.size()) {
    const FileFault f = fault(FileOp::kWrite);
    if (f.error == EINTR) continue;
    if (f.error != 0) return f.error;
    const std::size_t n = std::min(bytes.size() - done, std::max<std::size_t>(f.at_most, 1));
    const ssize_t wrote =
        append ? ::write(fd, bytes.data() + done, n)
               : ::pwrite(fd, bytes.data() + done, n, static_cast<off_t>(offset + done));
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) return errno;
    if (wrote == 0) return EIO;
    done += static_cast<std::size_t>(wrote);
  }
  return 0;
}

// An fd that is closed on every path.
struct Fd {
  int fd;
  ~Fd() {
    if (fd >= 0) ::close(fd);
  }
};

// errno of a folder's fsync, 0 if it worked or if this file system cannot sync folders (EINVAL).
int sync_error(const fs::path& folder) {
  const Fd dir{::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (dir.fd < 0) return errno;
  if (retried(FileOp::kSync, [&] { return ::fsync(dir.fd); }) == 0) return 0;
  return errno == EINVAL ? 0 : errno;
}

// Whether `path` still names the file that is open: its owner before us may have removed it between
// our open and our lock.
bool still_named(int fd, const fs::path& path) {
  struct stat by_fd {
  }, by_name{};
  return ::fstat(fd, &by_fd) == 0 && ::lstat(path.c_str(), &by_name) == 0 &&
         by_fd.st_ino == by_name.st_ino && by_fd.st_dev == by_name.st_dev;
}

// Two programs may append to one file: the lock is held until the descriptor is closed. On a file
// system without locks it is up to the user.
int open_locked(const fs::path& file) {
  for (;;) {
    Fd out{retried(FileOp::kOpen, [&] {
      return ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
    })};
    if (out.fd < 0) fail_create(file, errno);
    while (::flock(out.fd, LOCK_EX) != 0 && errno == EINTR) {
    }
    if (still_named(out.fd, file)) return std::exchange(out.fd, -1);
  }
}

bool is_pid(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

}  // namespace

void set_file_fault_hook(std::function<FileFault(FileOp)> hook) { fault_hook = std::move(hook); }

void check_output(const fs::path& target, bool force) {
  const auto refuse = [&](std::string why, std::string hint = "") {
    fail(Exit::kCannotCreate, {.what = "cannot create",
                               .file = target.string(),
                               .where = "",
                               .why = std::move(why),
                               .hint = std::move(hint)});
  };
  if (target.filename().empty()) refuse("not a file name");
  struct stat s {};
  const fs::path folder = folder_of(target);
  if (::stat(folder.c_str(), &s) != 0) {
    const int error = errno;
    fail_create(target, error, error == ENOENT ? "the folder does not exist" : "");
  }
  if (!S_ISDIR(s.st_mode)) refuse(fmt::format("'{}' is not a folder", folder.string()));
  if (::lstat(target.c_str(), &s) == 0) {
    if (S_ISLNK(s.st_mode)) refuse("is a symbolic link", "name the file itself");
    if (S_ISDIR(s.st_mode)) refuse("is a folder");
    if (!S_ISREG(s.st_mode)) refuse("exists and is not a regular file");
    if (!force) refuse("exists already", "--force replaces it");
  } else if (errno != ENOENT) {
    fail_create(target, errno);
  }
  if (::access(folder.c_str(), W_OK | X_OK) != 0) fail_create(target, errno);
}

void check_free_space(const fs::path& target, std::uint64_t bytes) {
  const std::uint64_t free = free_bytes(target);
  const std::uint64_t needed = bytes + bytes / 20;
  if (needed <= free) return;
  fail(Exit::kIo, {.what = "not enough space",
                   .file = target.string(),
                   .where = "",
                   .why = fmt::format("needs {} bytes, {} free", needed, free),
                   .hint = "free some space or choose another folder"});
}

OutputLock::OutputLock(const fs::path& target) : path_(target.string() + ".lock") {
  for (;;) {
    Fd lock{retried(FileOp::kOpen, [&] {
      return ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
    })};
    if (lock.fd < 0) fail_create(path_, errno);
    if (::flock(lock.fd, LOCK_EX | LOCK_NB) != 0) {
      std::string pid = "?";
      std::ifstream(path_) >> pid;
      fail(Exit::kCannotCreate, {.what = "cannot create",
                                 .file = target.string(),
                                 .where = "",
                                 .why = fmt::format("process {} is writing it", pid),
                                 .hint = "wait for it to end"});
    }
    if (!still_named(lock.fd, path_)) continue;
    const std::string pid = fmt::format("{}\n", ::getpid());
    std::size_t done = 0;
    int error = ::ftruncate(lock.fd, 0) == 0 ? 0 : errno;
    if (error == 0)
      error = write_all(lock.fd, std::as_bytes(std::span(pid.data(), pid.size())), 0, false, done);
    if (error != 0) {
      ::unlink(path_.c_str());
      fail_write(path_, "", error, pid.size());
    }
    fd_ = std::exchange(lock.fd, -1);
    return;
  }
}

OutputLock::~OutputLock() {
  ::unlink(path_.c_str());
  ::close(fd_);
}

void remove_stale_partials(const fs::path& target) {
  const std::string prefix = target.filename().string() + ".partial.";
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder_of(target), ignored)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with(prefix) && is_pid(std::string_view(name).substr(prefix.size())))
      ::unlink(entry.path().c_str());
  }
}

std::unique_ptr<OutputLock> claim_output(const fs::path& target, bool force, std::uint64_t bytes) {
  check_output(target, force);
  auto lock = std::make_unique<OutputLock>(target);
  remove_stale_partials(target);
  check_free_space(target, bytes);
  return lock;
}

OutputFile::OutputFile(fs::path target, bool force, std::uint64_t expected_bytes)
    : target_(std::move(target)),
      partial_(fmt::format("{}.partial.{}", target_.string(), ::getpid())),
      force_(force),
      expected_bytes_(expected_bytes) {
  check_output(target_, force_);
  fd_ = retried(FileOp::kOpen, [&] {
    return ::open(partial_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666);
  });
  if (fd_ < 0) fail_create(partial_, errno);
  if (expected_bytes_ == 0) return;
  // A courtesy: fails early on a full disk; a file system without it is fine.
  const auto bytes = static_cast<off_t>(expected_bytes_);
  if (retried(FileOp::kReserve, [&] { return ::fallocate(fd_, FALLOC_FL_KEEP_SIZE, 0, bytes); }) !=
          0 &&
      errno != EOPNOTSUPP && errno != ENOSYS && errno != EINVAL) {
    const int error = errno;
    ::close(std::exchange(fd_, -1));
    ::unlink(partial_.c_str());
    fail_write(partial_, "", error, expected_bytes_);
  }
}

OutputFile::~OutputFile() {
  if (fd_ >= 0) {
    ::close(fd_);
    ::unlink(partial_.c_str());
  }
}

void OutputFile::write_at(std::uint64_t offset, std::span<const std::byte> bytes) {
  RA_CHECK(fd_ >= 0);
  std::size_t done = 0;
  if (const int error = write_all(fd_, bytes, offset, false, done); error != 0)
    fail_write(partial_, fmt::format("byte {}", offset + done), error,
               std::max<std::uint64_t>(bytes.size() - done,
                                       expected_bytes_ > offset ? expected_bytes_ - offset : 0));
  size_ = std::max<std::uint64_t>(size_, offset + bytes.size());
}

void OutputFile::read_at(std::uint64_t offset, std::span<std::byte> bytes) const {
  RA_CHECK(fd_ >= 0);
  for (std::size_t done = 0; done < bytes.size();) {
    const ssize_t n =
        ::pread(fd_, bytes.data() + done, bytes.size() - done, static_cast<off_t>(offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0)
      fail(Exit::kIo, {.what = "cannot read",
                       .file = partial_.string(),
                       .where = fmt::format("byte {}", offset + done),
                       .why = std::strerror(errno)});
    if (n == 0) {
      std::fill(bytes.begin() + static_cast<std::ptrdiff_t>(done), bytes.end(), std::byte{0});
      return;
    }
    done += static_cast<std::size_t>(n);
  }
}

void OutputFile::commit() {
  RA_CHECK(fd_ >= 0);
  const auto give_up = [&](const char* where, int error) {
    ::unlink(partial_.c_str());
    fail_write(partial_, where, error, size_);
  };
  const int synced = retried(FileOp::kSync, [&] { return ::fsync(fd_); }) == 0 ? 0 : errno;
  const FileFault f = fault(FileOp::kClose);
  // The descriptor is gone after close(), whatever it returns; EINTR is no failure on Linux.
  const int closed = ::close(std::exchange(fd_, -1)) != 0 && errno != EINTR ? errno : f.error;
  if (synced != 0) give_up("fsync", synced);
  if (closed != 0 && closed != EINTR) give_up("close", closed);
  const unsigned flags = force_ ? 0 : RENAME_NOREPLACE;
  int renamed = retried(FileOp::kRename, [&] {
    return ::renameat2(AT_FDCWD, partial_.c_str(), AT_FDCWD, target_.c_str(), flags);
  });
  if (renamed != 0 && (errno == EINVAL || errno == ENOSYS) && !force_) {
    // No such flag on this file system: a hard link does not replace either.
    renamed = ::link(partial_.c_str(), target_.c_str());
    if (renamed == 0) ::unlink(partial_.c_str());
  }
  if (renamed != 0) {
    const int error = errno;
    ::unlink(partial_.c_str());
    if (error == EEXIST)
      fail(Exit::kCannotCreate, {.what = "cannot create",
                                 .file = target_.string(),
                                 .where = "",
                                 .why = "appeared while this program ran",
                                 .hint = "--force replaces it"});
    fail_write(target_, "rename", error, size_);
  }
  if (const int error = sync_error(folder_of(target_)); error != 0)
    fail_write(target_, "fsync of the folder", error, size_);
}

void write_file(const fs::path& target, std::string_view bytes, bool force) {
  OutputFile file(target, force);
  file.append(bytes);
  file.commit();
}

void append_line(const fs::path& file, std::string_view line) {
  const bool is_new = !fs::exists(fs::symlink_status(file));
  const Fd out{open_locked(file)};
  struct stat s {};
  if (::fstat(out.fd, &s) != 0) fail_create(file, errno);
  // Find the end of the last whole line.
  off_t end = s.st_size;
  for (char c = 0; end > 0 && ::pread(out.fd, &c, 1, end - 1) == 1 && c != '\n';) --end;
  if (end != s.st_size && ::ftruncate(out.fd, end) != 0) fail_write(file, "truncate", errno, 0);
  const std::string text = std::string(line) + "\n";
  std::size_t done = 0;
  int error = write_all(out.fd, std::as_bytes(std::span(text.data(), text.size())),
                        static_cast<std::uint64_t>(end), false, done);
  if (error == 0 && retried(FileOp::kSync, [&] { return ::fsync(out.fd); }) != 0) error = errno;
  if (error != 0) {
    // Best effort: readers cut a torn line themselves.
    (void)!::ftruncate(out.fd, end);
    if (is_new && s.st_size == 0) ::unlink(file.c_str());
    fail_write(file, fmt::format("byte {}", end), error, text.size());
  }
  if (const int failed = is_new ? sync_error(folder_of(file)) : 0; failed != 0)
    fail_write(file, "fsync of the folder", failed, 0);
}

void make_folder(const fs::path& folder) {
  if (::mkdir(folder.c_str(), 0777) == 0) {
    if (const int failed = sync_error(folder_of(folder)); failed != 0)
      fail_write(folder, "fsync of the folder above", failed, 0);
    return;
  }
  const int error = errno;
  struct stat s {};
  if (error == EEXIST && ::lstat(folder.c_str(), &s) == 0 && S_ISDIR(s.st_mode)) return;
  fail_create(folder, error, error == EEXIST ? "a file is in the way" : "");
}

void sync_folder(const fs::path& folder) {
  if (const int error = sync_error(folder); error != 0) fail_write(folder, "fsync", error, 0);
}

}  // namespace ra
