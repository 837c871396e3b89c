// SPDX-License-Identifier: Apache-2.0
// Keys of a context longer than the one they are drawn from: a block bootstrap (Künsch 1989) in the
// space before RoPE. Rows of a real context are turned back by their own positions, drawn in runs
// of consecutive positions, smoothed, and turned to where the run then begins. Mean and covariance
// before RoPE are kept, and so are runs of alike keys, the drift with position (the source of a run
// lies near the same fraction of the context) and both ends: the first positions, with the
// attention sink, and the last ones, whose queries are measured.
//
// A longer context is squeezed into the angles of the real one: a run begins at the same fraction
// of them and takes steps of one, as YaRN leaves fast pairs alone and interpolates slow ones.
// Angles beyond those a model was run at would make queries and keys look more alike than they are.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "kernels/types.h"
#include "lib/core/matrix.h"

namespace ra::stats {

// RoPE of a head: pair i of the first 2 inv_freq.size() dimensions turns by pos * inv_freq[i]
// radians. Pairs are (2i, 2i+1) if interleaved, else (i, i + inv_freq.size()). A magnitude (YaRN)
// is in the rows before and after, so it plays no part. Empty: no rotation.
struct RotaryPairs {
  std::vector<double> inv_freq;
  bool interleaved = false;
};

// Turns a row of heads [heads, head_dim] by `positions`, which may be negative, in place.
void turn(const RotaryPairs& pairs, std::int64_t positions, std::span<float> row,
          std::size_t head_dim);

class SyntheticContext {
 public:
  static constexpr std::int64_t kRun = 64;   // consecutive positions drawn together
  static constexpr double kDrift = 1.0 / 8;  // share of the real context that a run is drawn from
  static constexpr double kSmooth = 0.2;     // h: x' = m + sqrt(1 - h^2) (x - m) + h e

  // `keys` [n, heads * head_dim] are those of positions 0..n-1 after RoPE; `length` is that of the
  // context to make. Requires: n >= 32 and length >= 32.
  SyntheticContext(Matrix<float> keys, std::size_t head_dim, RotaryPairs pairs, std::int64_t length,
                   std::uint64_t seed);

  std::int64_t length() const { return length_; }
  // Positions [0, head()) and [length() - tail(), length()) are the first and last real ones: at
  // most 128 and 1,024, an eighth of the shorter context each if that is less.
  std::int64_t head() const { return head_; }
  std::int64_t tail() const { return tail_; }
  // The real position whose key is, smoothed, the one of `pos`; its value goes along.
  std::int64_t source(std::int64_t pos) const;
  // By which its row is turned, in positions of the real context; `pos` where lengths are equal.
  std::int64_t phase(std::int64_t pos) const;
  // Keys of positions first.. into out [rows, heads * head_dim], after RoPE. Noise e is the
  // difference of two random keys over sqrt(2), which has their covariance; it depends on seed,
  // position and head alone.
  void keys(std::int64_t first, MatView<float> out) const;

 private:
  Matrix<float> plain_;      // [n, heads * head_dim], before RoPE
  std::vector<float> mean_;  // [heads * head_dim] of the positions drawn from
  std::size_t head_dim_;
  RotaryPairs pairs_;
  std::int64_t length_, head_, tail_;
  std::uint64_t seed_;
  std::vector<std::int64_t> runs_;  // real position that each run begins at
};

}  // namespace ra::stats
