// SPDX-License-Identifier: Apache-2.0
#include "lib/core/mapped_file.h"

#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <mutex>
#include <new>

#include "lib/core/error.h"

namespace ra {
namespace {

[[noreturn]] void fail_errno(int error, const std::filesystem::path& path, std::string_view call) {
  const bool absent =
      error == ENOENT || error == ENOTDIR || error == ELOOP || error == ENAMETOOLONG;
  const Exit code = absent                              ? Exit::kNoInput
                    : error == EACCES || error == EPERM ? Exit::kPermission
                    : error == ENOMEM                   ? Exit::kNoMemory
                    : error == ENXIO || error == ENODEV ? Exit::kNoInput  // socket, no driver
                                                        : Exit::kIo;
  fail(code, {.what = absent ? "no such input" : "cannot read",
              .file = path.string(),
              .why = fmt::format("{}: {}", call, std::strerror(error))});
}

std::string_view kind_of(mode_t mode) {
  if (S_ISDIR(mode)) return "a directory";
  if (S_ISFIFO(mode)) return "a FIFO";
  if (S_ISSOCK(mode)) return "a socket";
  return "a device";
}

// ---- SIGBUS ----------------------------------------------------------------------------------
// Ranges that are mapped now. The handler may run in any thread at any time: only atomics, no
// locks, no allocation. `begin` is written last and cleared first.
struct WatchedRange {
  std::atomic<std::uintptr_t> begin{0};
  std::atomic<std::size_t> size{0};
  std::atomic<const char*> name{nullptr};
};
constexpr std::size_t kWatched = 1024;
std::array<WatchedRange, kWatched> watched;
std::mutex watch_mutex;

class SignalText {  // snprintf is not async-signal-safe
 public:
  SignalText& add(const char* s) {
    while (*s && size_ < sizeof text_) text_[size_++] = *s++;
    return *this;
  }
  SignalText& add(std::size_t n) {
    char digits[24];
    char* p = digits + sizeof digits - 1;
    *p = 0;
    do *--p = static_cast<char>('0' + n % 10);
    while (n /= 10);
    return add(p);
  }
  void print() const {
    if (::write(STDERR_FILENO, text_, size_) < 0) return;
  }

 private:
  char text_[6000];
  std::size_t size_ = 0;
};

void on_sigbus(int signal, siginfo_t* info, void*) {
  const auto address = reinterpret_cast<std::uintptr_t>(info->si_addr);
  for (const WatchedRange& range : watched) {
    const std::uintptr_t begin = range.begin.load(std::memory_order_acquire);
    if (!begin || address < begin || address - begin >= range.size.load()) continue;
    SignalText text;
    text.add(program_invocation_short_name)
        .add(": error: input changed: ")
        .add(range.name.load())
        .add(": byte ")
        .add(address - begin)
        .add(": file changed or truncated while in use\n")
        .print();
    ::_exit(static_cast<int>(Exit::kIo));
  }
  ::signal(signal, SIG_DFL);  // not ours: the access is repeated and the default action taken
}

void install_sigbus_handler() {
  // The handler needs no more than this; the opening thread gets the stack, others use their own
  // (SIGBUS on a mapped file does not mean that the stack is gone).
  static std::array<std::byte, 64 * 1024> stack;
  stack_t old{};
  if (::sigaltstack(nullptr, &old) == 0 && (old.ss_flags & SS_DISABLE)) {
    stack_t own{};
    own.ss_sp = stack.data();
    own.ss_size = stack.size();
    ::sigaltstack(&own, nullptr);
  }
  struct sigaction action {};
  action.sa_sigaction = on_sigbus;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  sigemptyset(&action.sa_mask);
  ::sigaction(SIGBUS, &action, nullptr);
}

int watch(std::span<const std::byte> bytes, const char* name) {
  static std::once_flag installed;
  std::call_once(installed, install_sigbus_handler);
  const std::lock_guard lock(watch_mutex);
  for (std::size_t i = 0; i < kWatched; ++i) {
    if (watched[i].begin.load()) continue;
    watched[i].name = name;
    watched[i].size = bytes.size();
    watched[i].begin.store(reinterpret_cast<std::uintptr_t>(bytes.data()),
                           std::memory_order_release);
    return static_cast<int>(i);
  }
  return -1;  // the file works, only a truncation would end in a plain SIGBUS
}

}  // namespace

MappedFile::MappedFile(const std::filesystem::path& path, MapMode mode)
    : path_(path), printable_(escaped(path.string())) {
  // O_NONBLOCK: opening a FIFO must not wait for its writer.
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
  if (fd < 0) fail_errno(errno, path, "open");
  const struct Closer {
    int fd;
    ~Closer() { ::close(fd); }
  } closer{fd};

  struct stat st {};
  if (::fstat(fd, &st) != 0) fail_errno(errno, path, "fstat");
  if (!S_ISREG(st.st_mode))
    fail(Exit::kNoInput, {.what = "no such input",
                          .file = path.string(),
                          .why = fmt::format("{}, not a regular file", kind_of(st.st_mode))});
  identity_ = {st.st_dev, st.st_ino, st.st_size, st.st_mtim};
  const auto size = static_cast<std::size_t>(st.st_size);
  if (size == 0) return;
  if (mode == MapMode::kMap)
    map(fd, size);
  else
    read(fd, size);
}

void MappedFile::map(int fd, std::size_t size) {
  void* p = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd, 0);
  if (p == MAP_FAILED) fail_errno(errno, path_, "mmap");
  mapped_ = true;
  bytes_ = {static_cast<const std::byte*>(p), size};
  watch_ = watch(bytes_, printable_.c_str());
}

void MappedFile::read(int fd, std::size_t size) {
  try {
    buffer_ = AlignedBuffer<std::byte>(size);
  } catch (const std::bad_alloc&) {
    fail(Exit::kNoMemory, {.what = "not enough memory",
                           .file = path_.string(),
                           .why = fmt::format("{} bytes are needed to read it", size),
                           .hint = "--load-mode mmap needs less"});
  }
  for (std::size_t done = 0; done < size;) {
    const std::size_t step = std::min<std::size_t>(size - done, std::size_t{1} << 30);
    const ssize_t n = ::read(fd, buffer_.data() + done, step);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail_errno(errno, path_, "read");
    if (n == 0)
      fail(Exit::kIo, {.what = "input changed",
                       .file = path_.string(),
                       .where = fmt::format("byte {}", done),
                       .why = fmt::format("file ended early, it had {} bytes", size)});
    done += static_cast<std::size_t>(n);
  }
  bytes_ = buffer_.span();
}

MappedFile::~MappedFile() {
  if (!mapped_) return;
  if (watch_ >= 0) watched[static_cast<std::size_t>(watch_)].begin.store(0);
  ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
}

void MappedFile::check_unchanged() const {
  struct stat st {};
  std::string why;
  if (::stat(path_.c_str(), &st) != 0)
    why = fmt::format("was there when opened, now: {}", std::strerror(errno));
  else if (st.st_dev != identity_.device || st.st_ino != identity_.inode)
    why = "replaced by another file while in use";
  else if (st.st_size != identity_.size)
    why = fmt::format("had {} bytes when opened, now {}", identity_.size, st.st_size);
  else if (st.st_mtim.tv_sec != identity_.modified.tv_sec ||
           st.st_mtim.tv_nsec != identity_.modified.tv_nsec)
    why = "modified while in use";
  if (!why.empty()) fail(Exit::kIo, {.what = "input changed", .file = path_.string(), .why = why});
}

}  // namespace ra
