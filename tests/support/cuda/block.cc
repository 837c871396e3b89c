// SPDX-License-Identifier: Apache-2.0
#include "tests/support/cuda/block.h"

#include <boost/context/fiber.hpp>
#include <boost/context/pooled_fixedsize_stack.hpp>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <utility>
#include <vector>

thread_local ra::cuda_emulation::Dim3 threadIdx, blockIdx, blockDim, gridDim;

namespace ra::cuda_emulation {
namespace {

// Kept from one block to the next: giving memory back costs more than what runs on it.
thread_local boost::context::pooled_fixedsize_stack stacks(std::size_t{128} << 10);

[[noreturn]] void die(const char* why) {
  std::fprintf(stderr, "CUDA emulation: %s\n", why);
  std::abort();
}

struct Warp {
  std::uint64_t slots[2][kWarp] = {};  // of exchanges, in turn: one may be read beside the next
  unsigned arrived = 0;
};

enum class State { kReady, kAtBarrier, kDone };

struct Thread {
  boost::context::fiber fiber;
  Dim3 index{0, 0, 0};
  State state = State::kReady;
  unsigned exchanges = 0;
};

// The block that runs on this CPU thread.
class Block {
 public:
  Block(Dim3 size, const std::function<void()>& body)
      : body_(body), threads_(size.count()), warps_(size.count() / kWarp) {
    for (unsigned t = 0; t < threads_.size(); ++t)
      threads_[t].index = {t % size.x, t / size.x % size.y, t / (size.x * size.y)};
  }

  void run(Order order) {
    arrived_ = 0;
    for (Thread& t : threads_) {
      t.state = State::kReady;
      t.exchanges = 0;
      t.fiber = boost::context::fiber(std::allocator_arg, stacks,
                                      [this](boost::context::fiber&& scheduler) {
                                        scheduler_ = std::move(scheduler);
                                        body_();
                                        threads_[current_].state = State::kDone;
                                        return std::move(scheduler_);
                                      });
    }
    const auto n = static_cast<unsigned>(threads_.size());
    for (bool moved = true; moved;) {
      moved = false;
      for (unsigned i = 0; i < n; ++i) {
        current_ = order == Order::kAscending ? i : n - 1 - i;
        Thread& t = threads_[current_];
        if (t.state != State::kReady) continue;
        threadIdx = t.index;
        t.fiber = std::move(t.fiber).resume();
        moved = true;
      }
    }
    for (const Thread& t : threads_)
      if (t.state != State::kDone) die("threads wait at a barrier that others never reach");
  }

  void sync_threads() {
    if (++arrived_ < threads_.size()) return wait();
    arrived_ = 0;
    release(0, static_cast<unsigned>(threads_.size()));
  }

  void sync_warp() {
    const unsigned w = current_ / kWarp;
    if (++warps_[w].arrived < kWarp) return wait();
    warps_[w].arrived = 0;
    release(w * kWarp, kWarp);
  }

  const std::uint64_t* exchange(std::uint64_t value) {
    auto& slots = warps_[current_ / kWarp].slots[threads_[current_].exchanges++ % 2];
    slots[current_ % kWarp] = value;
    sync_warp();
    return slots;
  }

 private:
  void wait() {
    threads_[current_].state = State::kAtBarrier;
    scheduler_ = std::move(scheduler_).resume();
  }
  // The thread that arrives last goes on at once; the others when their turn comes. Threads of the
  // range that wait elsewhere (at the other kind of barrier) cannot be: all of them have arrived.
  void release(unsigned first, unsigned count) {
    for (unsigned t = first; t < first + count; ++t)
      if (threads_[t].state == State::kAtBarrier) threads_[t].state = State::kReady;
  }

  const std::function<void()>& body_;
  std::vector<Thread> threads_;
  std::vector<Warp> warps_;
  boost::context::fiber scheduler_;
  unsigned current_ = 0, arrived_ = 0;
};

thread_local Block* running = nullptr;
Order chosen_order = Order::kAscending;

}  // namespace

void set_order(Order order) { chosen_order = order; }

void run_grid(Dim3 grid, Dim3 block, const std::function<void()>& thread) {
  if (running != nullptr) die("a kernel launches a kernel");
  if (block.count() % kWarp != 0 || block.count() == 0 || block.count() > 1024)
    die("a block is 1 to 32 whole warps");
  if (grid.count() == 0 || grid.y > 65535 || grid.z > 65535) die("bad grid");
  Block b(block, thread);
  running = &b;
  gridDim = grid;
  blockDim = block;
  for (unsigned z = 0; z < grid.z; ++z)
    for (unsigned y = 0; y < grid.y; ++y)
      for (unsigned x = 0; x < grid.x; ++x) {
        blockIdx = {x, y, z};
        b.run(chosen_order);
      }
  running = nullptr;
}

void sync_threads() { running->sync_threads(); }
void sync_warp() { running->sync_warp(); }
const std::uint64_t* exchange(std::uint64_t value) { return running->exchange(value); }

}  // namespace ra::cuda_emulation
