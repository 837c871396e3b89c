// SPDX-License-Identifier: Apache-2.0
// Launch arithmetic: plain numbers, tested on the host.
#pragma once

#include <algorithm>
#include <cstddef>

namespace ra::cuda {

constexpr unsigned kWarpSize = 32;

template <class T>
constexpr T divide_up(T n, T by) {
  return (n + by - 1) / by;
}

// Threads of a block that works on one row of n: whole warps, at most `most`.
constexpr unsigned row_threads(std::size_t n, unsigned most = 256) {
  const std::size_t warps = divide_up<std::size_t>(std::max<std::size_t>(n, 1), kWarpSize);
  return static_cast<unsigned>(std::min<std::size_t>(warps * kWarpSize, most));
}

// Parts that the keys of a KV head are split into for decode attention, so that `blocks` (KV heads
// times tiles of query heads) of them fill a device of that many multiprocessors `kWaves` times; no
// part has less than kFewestKeys, and there are at most kMostSplits, which one block merges.
struct KeySplits {
  static constexpr std::size_t kWaves = 4, kFewestKeys = 256, kMostSplits = 512;

  constexpr KeySplits(std::size_t keys, std::size_t blocks, std::size_t multiprocessors) {
    const std::size_t wanted = divide_up(kWaves * std::max<std::size_t>(multiprocessors, 1),
                                         std::max<std::size_t>(blocks, 1));
    const std::size_t most = std::max<std::size_t>(1, keys / kFewestKeys);
    count = std::min({wanted, most, kMostSplits});
    length = divide_up(keys, count);
    count = std::max<std::size_t>(1, divide_up(keys, std::max<std::size_t>(length, 1)));
  }

  std::size_t count = 1;
  std::size_t length = 0;  // keys of each but the last
};

}  // namespace ra::cuda
