// SPDX-License-Identifier: Apache-2.0
// CUDA's execution model on one CPU thread, so that every kernel can be tested without a device.
// The threads of a block are fibers, which give way to each other at barriers only; the blocks of a
// grid run one after another. Stricter than a device: a barrier that a thread of the block, or of
// the warp, does not reach ends the process with a message.
#pragma once

#include <cstdint>
#include <functional>

namespace ra::cuda_emulation {

struct Dim3 {
  unsigned x = 1, y = 1, z = 1;
  constexpr Dim3(unsigned vx = 1, unsigned vy = 1, unsigned vz = 1) : x(vx), y(vy), z(vz) {}
  constexpr unsigned count() const { return x * y * z; }
};

inline constexpr unsigned kWarp = 32;

// Between two barriers a device runs the threads of a block in any order. Tests run in both of
// these: a kernel that lacks a barrier fails in one of them.
enum class Order { kAscending, kDescending };
void set_order(Order order);

// Runs `thread` for every thread of every block. A block is whole warps, at most 1,024 threads.
void run_grid(Dim3 grid, Dim3 block, const std::function<void()>& thread);

void sync_threads();
void sync_warp();
// Gives `value` to the warp and returns what each lane gave; all 32 lanes take part.
const std::uint64_t* exchange(std::uint64_t value);

}  // namespace ra::cuda_emulation

// Of the running thread, by CUDA's names.
extern thread_local ra::cuda_emulation::Dim3 threadIdx, blockIdx, blockDim, gridDim;
