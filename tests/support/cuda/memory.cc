// SPDX-License-Identifier: Apache-2.0
#include "tests/support/cuda/memory.h"

#include <sys/mman.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <map>

namespace ra::cuda_emulation {
namespace {

constexpr std::size_t kTotal = std::size_t{256} << 20;
constexpr std::size_t kAlign = 256, kGuard = 256;  // CUDA aligns to 256 bytes

struct Allocation {
  std::size_t end = 0, bytes = 0;
};

// Blocks by their offset: guard, the bytes asked for, guard up to the end.
class Arena {
 public:
  Arena() {
    void* p = mmap(nullptr, kTotal, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) std::abort();
    madvise(p, kTotal, MADV_HUGEPAGE);  // fewer pages whose protection changes at every launch
    base_ = static_cast<unsigned char*>(p);
  }

  void* allocate(std::size_t bytes) {
    if (bytes == 0 || bytes > kTotal) return nullptr;
    const std::size_t need = kGuard + (bytes + kAlign - 1) / kAlign * kAlign + kGuard;
    std::size_t at = 0;
    for (const auto& [offset, block] : blocks_) {
      if (offset - at >= need) break;
      at = block.end;
    }
    if (kTotal - at < need) return nullptr;
    blocks_[at] = {at + need, bytes};
    used_ += need;
    const DeviceAccess access;
    std::memset(base_ + at, 0xff, need);
    return base_ + at + kGuard;
  }

  void release(void* p) {
    if (p == nullptr) return;
    const auto it =
        blocks_.find(static_cast<std::size_t>(static_cast<unsigned char*>(p) - base_) - kGuard);
    if (it == blocks_.end()) fail("release of what was not allocated");
    {
      const DeviceAccess access;
      const std::size_t begin = it->first + kGuard, end = begin + it->second.bytes;
      for (std::size_t i = it->first; i < it->second.end; ++i)
        if ((i < begin || i >= end) && base_[i] != 0xff) fail("write outside of an allocation");
    }
    used_ -= it->second.end - it->first;
    blocks_.erase(it);
  }

  bool holds(const void* p) const {
    const auto at = reinterpret_cast<std::uintptr_t>(p),
               base = reinterpret_cast<std::uintptr_t>(base_);
    return at >= base && at < base + kTotal;
  }

  std::size_t used() const { return used_; }

  void open() {
    if (depth_++ == 0) mprotect(base_, kTotal, PROT_READ | PROT_WRITE);
  }
  void close() {
    if (--depth_ == 0) mprotect(base_, kTotal, PROT_NONE);
  }

 private:
  [[noreturn]] static void fail(const char* why) {
    std::fprintf(stderr, "CUDA emulation: %s\n", why);
    std::abort();
  }

  unsigned char* base_ = nullptr;
  std::map<std::size_t, Allocation> blocks_;
  std::size_t used_ = 0;
  int depth_ = 0;
};

Arena& arena() {
  static Arena a;
  return a;
}

}  // namespace

void* allocate(std::size_t bytes) { return arena().allocate(bytes); }
void release(void* p) { arena().release(p); }
bool is_device(const void* p) { return arena().holds(p); }
std::size_t free_bytes() { return kTotal - arena().used(); }
std::size_t total_bytes() { return kTotal; }

DeviceAccess::DeviceAccess() { arena().open(); }
DeviceAccess::~DeviceAccess() { arena().close(); }

}  // namespace ra::cuda_emulation
