// SPDX-License-Identifier: Apache-2.0
// The forward pass written for reading: plain loops, sums in f64, no threads. The oracle of every
// faster backend and attention.
#pragma once

#include "lib/model/attention_policy.h"
#include "lib/model/backend.h"

namespace ra::test {

class ReferenceBackend : public model::Backend {
 public:
  void embed(const model::Weight& table, std::span<const std::int32_t> ids, float scale,
             MatView<float> x) override;
  void matmul(MatView<const float> x, std::initializer_list<model::Product> products) override;
  void matmul_add(const model::Weight& w, MatView<const float> x, MatView<float> y) override;
  void add(MatView<const float> y, MatView<float> x) override;
  void rms_norm(MatView<const float> x, const model::Weight& gain, float eps,
                MatView<float> y) override;
  void rope(const model::Rope& rope, std::int64_t pos, MatView<float> x) override;
  void feed_forward(const model::FeedForward& w, MatView<const float> h, MatView<float> y) override;
};

// Causal softmax attention over everything in the cache, or over the input's window of it.
class ReferenceAttention : public model::AttentionPolicy {
 public:
  model::AttendStats attend(const model::AttendInput& in, MatView<float> out) override;
};

}  // namespace ra::test
