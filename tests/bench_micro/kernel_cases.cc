// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <memory>
#include <numeric>

#include "kernels/gemm.h"
#include "kernels/ops.h"
#include "lib/core/matrix.h"
#include "tests/bench_micro/cases.h"
#include "tests/support/quant_blocks.h"

namespace ra::bench_micro {
namespace {

using namespace kernels;
using ra::testing::random_bf16;
using ra::testing::random_blocks;
using ra::testing::random_bytes;
using ra::testing::random_floats;

constexpr std::size_t kDim = 64, kGroup = 7, kHidden = 896;

// Data that lives as long as the function that uses it.
template <class T>
std::shared_ptr<T> keep(T value) {
  return std::make_shared<T>(std::move(value));
}

template <class T>
std::shared_ptr<AlignedBuffer<T>> buffer(std::size_t n) {
  auto b = std::make_shared<AlignedBuffer<T>>(n);
  std::fill_n(b->data(), n, T{});
  return b;
}

double f(std::size_t n) { return static_cast<double>(n); }

Case dot_case(const OpTable& k) {
  constexpr std::size_t n = 1024, rows = 64;
  const auto a = keep(random_floats(n, 1)), b = keep(random_floats(n * rows, 2)),
             out = keep(std::vector<float>(rows));
  return {.bytes = f(4 * n * rows), .flops = f(2 * n * rows), .call = [=, &k] {
            for (std::size_t r = 0; r < rows; ++r)
              (*out)[r] = k.dot(a->data(), b->data() + r * n, n);
          }};
}

Case dot_bf16_case(const OpTable& k) {
  constexpr std::size_t n = 1024, rows = 64;
  const auto a = keep(random_floats(n, 1)), out = keep(std::vector<float>(rows));
  const auto b = keep(random_bf16(n * rows, 2));
  return {.bytes = f(2 * n * rows), .flops = f(2 * n * rows), .call = [=, &k] {
            for (std::size_t r = 0; r < rows; ++r)
              (*out)[r] = k.dot_bf16(a->data(), b->data() + r * n, n);
          }};
}

Case decode_row_case(const OpTable& k, Quant type) {
  constexpr std::size_t n = 32768;
  const QuantInfo& info = quant_info(type);
  const auto w = keep(random_blocks(info, n / info.block, 1));
  const auto out = keep(std::vector<float>(n));
  return {.bytes = f(w->size() + 4 * n),
          .call = [=, &k] { k.decode_row(type, w->data(), out->data(), n); }};
}

Case quantize_rows_case(const OpTable& k) {
  constexpr std::size_t cols = 4864, tokens = 4;
  const auto x = keep(random_floats(cols * tokens, 1));
  const auto out = buffer<std::byte>(tokens * quantized_row_bytes(cols));
  return {.bytes = f(4 * x->size() + out->size()), .call = [=, &k] {
            k.quantize_rows({.x = x->data(), .x_stride = cols, .tokens = tokens, .cols = cols},
                            out->data());
          }};
}

Case gemv_case(const OpTable& k, Quant type, bool f32) {
  constexpr std::size_t rows = 128, cols = 4864;
  const QuantInfo& info = quant_info(type);
  const std::size_t row_bytes = cols / info.block * info.block_bytes;
  const auto w = keep(random_blocks(info, rows * cols / info.block, 1));
  const auto x = keep(random_floats(cols, 2)), y = keep(std::vector<float>(rows));
  const auto quantized = buffer<std::byte>(quantized_row_bytes(cols));
  k.quantize_rows({.x = x->data(), .x_stride = cols, .tokens = 1, .cols = cols}, quantized->data());
  return {.bytes = f(w->size()),
          .flops = f(2 * rows * cols),
          .product = info.block == 1 || f32 ? Product::kF32 : Product::kCodes,
          .call = [=, &k] {
            const GemvArgs a{.type = type,
                             .w = w->data(),
                             .row_bytes = row_bytes,
                             .rows = rows,
                             .x = {x->data(), cols, 1, cols, quantized->data()},
                             .y = y->data(),
                             .y_stride = rows};
            f32 ? k.gemv_f32(a) : k.gemv(a);
          }};
}

Case rms_norm_case(const OpTable& k) {
  constexpr std::size_t rows = 64;
  const auto x = keep(random_floats(kHidden * rows, 1)), gain = keep(random_floats(kHidden, 2)),
             y = keep(std::vector<float>(kHidden * rows));
  return {.bytes = f(8 * kHidden * rows), .flops = f(4 * kHidden * rows), .call = [=, &k] {
            for (std::size_t r = 0; r < rows; ++r)
              k.rms_norm({.x = x->data() + r * kHidden,
                          .gain = gain->data(),
                          .y = y->data() + r * kHidden,
                          .n = kHidden});
          }};
}

Case rope_case(const OpTable& k) {
  constexpr std::size_t heads = 14, tokens = 64;
  const auto x = keep(random_floats(heads * kDim * tokens, 1));
  // A rotation, so that values keep their size however often it is applied.
  const auto cos = keep(std::vector<float>(kDim / 2, 0.6f)),
             sin = keep(std::vector<float>(kDim / 2, 0.8f));
  return {.bytes = f(8 * x->size()), .flops = f(3 * x->size()), .call = [=, &k] {
            for (std::size_t t = 0; t < tokens; ++t)
              k.rope({.x = x->data() + t * heads * kDim,
                      .cos = cos->data(),
                      .sin = sin->data(),
                      .heads = heads,
                      .head_dim = kDim,
                      .rotary_dims = kDim});
          }};
}

Case gate_case(void (*op)(const float*, float*, std::size_t) noexcept) {
  constexpr std::size_t n = 4864;
  const auto up = keep(random_floats(n, 1)), given = keep(random_floats(n, 2)),
             gate = keep(std::vector<float>(n));
  // The gate is overwritten, so each call begins with the same one.
  return {.bytes = f(16 * n), .call = [=] {
            std::copy(given->begin(), given->end(), gate->begin());
            op(up->data(), gate->data(), n);
          }};
}

Case score_case(const OpTable& k, bool gathered) {
  constexpr std::size_t n = 4096;
  const std::size_t scored = gathered ? n / 4 : n;
  const auto q = keep(random_floats(kGroup * kDim, 1)),
             out = keep(std::vector<float>(kGroup * scored));
  const auto keys = keep(random_bf16(n * kDim, 2));
  const auto ids = keep(std::vector<std::uint32_t>(scored));
  for (std::size_t i = 0; i < scored; ++i) (*ids)[i] = static_cast<std::uint32_t>(i * 1597 % n);
  return {.bytes = f(2 * kDim * scored + 4 * kGroup * scored),
          .flops = f(2 * kGroup * kDim * scored),
          .product = k.level == Level::kAmx ? Product::kLevel : Product::kF32,
          .call = [=, &k] {
            k.score({.q = q->data(),
                     .q_stride = kDim,
                     .group = kGroup,
                     .dim = kDim,
                     .keys = keys->data(),
                     .type = KvType::kBf16,
                     .key_stride = kDim,
                     .ids = gathered ? ids->data() : nullptr,
                     .n = scored,
                     .out = out->data(),
                     .out_stride = scored});
          }};
}

Case topk_case(const OpTable& k) {
  constexpr std::size_t n = 16384, best = 100;
  const auto scores = keep(random_floats(n, 1)), out = keep(std::vector<float>(best));
  const auto ids = keep(std::vector<std::uint32_t>(best));
  return {.bytes = f(4 * n), .call = [=, &k] {
            k.topk({.scores = scores->data(),
                    .n = n,
                    .k = best,
                    .out_ids = ids->data(),
                    .out_scores = out->data()});
          }};
}

// Codes of 4,096 keys and of a group of queries.
struct Codes {
  std::vector<std::byte> keys, q = random_bytes(kGroup * kDim, 2);
  std::vector<float> scores;
  std::vector<std::uint32_t> rows;
  CodeArgs args;

  explicit Codes(int bits) {
    constexpr std::size_t blocks = 256;
    keys = random_bytes(blocks * code_block_bytes(kDim, bits), 1);
    for (std::byte& v : q)  // -128 is no query code
      if (v == std::byte{0x80}) v = std::byte{0};
    scores.resize(kGroup * blocks * kCodeKeys);
    rows.resize(blocks * kCodeKeys);
    args = {.q = reinterpret_cast<const std::int8_t*>(q.data()),
            .q_stride = kDim,
            .group = kGroup,
            .rank = kDim,
            .codes = reinterpret_cast<const std::uint8_t*>(keys.data()),
            .bits = bits,
            .n = blocks,
            .out = scores.data(),
            .out_stride = blocks * kCodeKeys};
  }
  Codes(const Codes&) = delete;
  Codes& operator=(const Codes&) = delete;
  double flops() const { return f(2 * kDim * scores.size()); }
};

Case codes_case(const OpTable& k, int bits) {
  const auto c = std::make_shared<Codes>(bits);
  return {.bytes = f(c->keys.size() + 4 * c->scores.size()),
          .flops = c->flops(),
          .product = Product::kCodes,
          .call = [=, &k] { k.score_codes(c->args); }};
}

Case codes_at_least_case(const OpTable& k, int bits) {
  const auto c = std::make_shared<Codes>(bits);
  k.score_codes(c->args);
  const auto floors = keep(std::vector<float>(kGroup));
  for (std::size_t g = 0; g < kGroup; ++g) {  // one key in forty is good enough for a query
    std::vector<float> all(
        c->scores.begin() + static_cast<std::ptrdiff_t>(g * c->rows.size()),
        c->scores.begin() + static_cast<std::ptrdiff_t>((g + 1) * c->rows.size()));
    std::ranges::nth_element(all, all.end() - 100);
    (*floors)[g] = *(all.end() - 100);
  }
  return {
      .bytes = f(c->keys.size()), .flops = c->flops(), .product = Product::kCodes, .call = [=, &k] {
        k.codes_at_least(c->args, floors->data(), c->rows.data());
      }};
}

Case encode_query_case(const OpTable& k) {
  constexpr std::size_t rows = 256;
  const auto y = keep(random_floats(rows * kDim, 1));
  const auto out = keep(std::vector<std::int8_t>(rows * kDim));
  return {.bytes = f(5 * rows * kDim), .call = [=, &k] {
            for (std::size_t r = 0; r < rows; ++r)
              k.encode_query(y->data() + r * kDim, kDim, out->data() + r * kDim);
          }};
}

// Scores of cells as a search of them asks for: with a base, a unit and a spread.
struct RuledCodes {
  Codes codes{8};
  std::vector<float> scale = std::vector<float>(kGroup, 0.5f),
                     spread = random_floats(codes.rows.size(), 1);
  ScoreRule rule{.base = scale.data(),
                 .unit = scale.data(),
                 .gain = scale.data(),
                 .spread = spread.data(),
                 .rows = spread.size()};
  RuledCodes() { codes.args.rule = &rule; }
};
Case score_rule_case(const OpTable& k) {
  const auto c = std::make_shared<RuledCodes>();
  return {.bytes = f(c->codes.keys.size() + 4 * c->codes.scores.size()),
          .flops = c->codes.flops(),
          .product = Product::kCodes,
          .call = [=, &k] { k.score_codes(c->codes.args); }};
}

Case group_at_least_case(const OpTable& k) {
  constexpr std::size_t n = 4096;
  const auto scores = keep(random_floats(kGroup * n, 1));
  const auto floors = keep(std::vector<float>(kGroup, 1.5f));
  const auto out = keep(std::vector<std::uint32_t>(n));
  return {.bytes = f(4 * kGroup * n), .call = [=, &k] {
            k.group_at_least({.scores = scores->data(), .stride = n, .group = kGroup, .n = n},
                             floors->data(), out->data());
          }};
}

enum class Cut { kKth, kAtLeast, kLargest };
Case select_case(const OpTable& k, Cut cut) {
  constexpr std::size_t n = 8192, m = 800;
  const auto scores = keep(random_floats(n, 1)), scratch = keep(std::vector<float>(n));
  const auto out = keep(std::vector<std::uint32_t>(n));
  const float floor = k.kth_largest(scores->data(), n, m, scratch->data());
  return {.bytes = f(4 * n), .call = [=, &k] {
            float found = floor;
            if (cut == Cut::kKth) k.kth_largest(scores->data(), n, m, scratch->data());
            if (cut == Cut::kAtLeast) k.at_least(scores->data(), n, floor, n, out->data());
            if (cut == Cut::kLargest)
              k.largest(scores->data(), n, m, &found, scratch->data(), out->data());
          }};
}

KvRows rows_of(const std::byte* k, const std::byte* v, KvType type) {
  return {.k = k, .v = v, .type = type, .head_dim = kDim, .value_dim = kDim};
}

// Rows of any type: the bits of the numbers do not change what they cost, as long as they are
// ordinary ones.
std::shared_ptr<std::vector<std::byte>> kv_rows(KvType type, std::size_t n, std::uint64_t seed) {
  const auto values = random_bf16(n * kDim, seed);
  std::vector<std::byte> rows(n * row_bytes(type, kDim));
  const float scale = 0.01f;
  for (std::size_t i = 0; i < n; ++i) {
    std::byte* row = rows.data() + i * row_bytes(type, kDim);
    if (type == KvType::kInt8) {
      std::copy_n(reinterpret_cast<const std::byte*>(values.data()) + i * kDim, kDim, row);
      std::copy_n(reinterpret_cast<const std::byte*>(&scale), sizeof scale, row + kDim);
    } else {
      std::copy_n(reinterpret_cast<const std::byte*>(values.data() + i * kDim), 2 * kDim, row);
    }
  }
  return keep(std::move(rows));
}

Case attend_partial_case(const OpTable& k, KvType type, bool gathered) {
  constexpr std::size_t n = 2048;
  const std::size_t read = gathered ? n / 4 : n;
  const auto keys = kv_rows(type, n, 1), values = kv_rows(type, n, 2);
  const auto q = keep(random_floats(kGroup * kDim, 3)), gain = keep(std::vector<float>(kDim, 1.f)),
             sums = keep(std::vector<float>(kGroup * kDim));
  const auto ids = keep(std::vector<std::uint32_t>(read));
  for (std::size_t i = 0; i < read; ++i) (*ids)[i] = static_cast<std::uint32_t>(i * 1597 % n);
  return {.bytes = f(2 * row_bytes(type, kDim) * read),
          .flops = f(4 * kGroup * kDim * read),
          .call = [=, &k] {
            Partial out[kGroup];
            std::fill(sums->begin(), sums->end(), 0.f);
            for (std::size_t g = 0; g < kGroup; ++g) out[g].acc = sums->data() + g * kDim;
            KvRows rows = rows_of(keys->data(), values->data(), type);
            if (type == KvType::kInt8) rows.k_gain = gain->data();
            k.attend_partial({.q = q->data(),
                              .q_stride = kDim,
                              .group = kGroup,
                              .kv = rows,
                              .ids = gathered ? ids->data() : nullptr,
                              .n = read,
                              .scale = 0.125f,
                              .out = out});
          }};
}

Case attend_causal_case(const OpTable& k, bool exact) {
  constexpr std::size_t pos0 = 960, tokens = 64;
  const auto keys = kv_rows(KvType::kBf16, pos0 + tokens, 1),
             values = kv_rows(KvType::kBf16, pos0 + tokens, 2);
  const auto q = keep(random_floats(tokens * kGroup * kDim, 3)),
             out = keep(std::vector<float>(tokens * kGroup * kDim));
  const auto scratch = buffer<std::byte>(causal_scratch_bytes(tokens, kGroup, kDim, kDim));
  return {.bytes = f(4 * kDim * (pos0 + tokens) + 8 * q->size()),
          .flops = f(4 * kGroup * kDim * (tokens * pos0 + tokens * (tokens + 1) / 2)),
          .product = exact ? Product::kF32 : Product::kLevel,
          .call = [=, &k] {
            k.attend_causal({.q = q->data(),
                             .q_stride = kGroup * kDim,
                             .tokens = tokens,
                             .group = kGroup,
                             .pos0 = pos0,
                             .kv = rows_of(keys->data(), values->data(), KvType::kBf16),
                             .scale = 0.125f,
                             .out = out->data(),
                             .out_stride = kGroup * kDim,
                             .exact_f32 = exact,
                             .scratch = scratch->data()});
          }};
}

Case partial_merge_case() {
  constexpr std::size_t parts = 256;
  const auto sums = keep(random_floats(parts * kDim, 1)), acc = keep(std::vector<float>(kDim)),
             out = keep(std::vector<float>(kDim));
  return {.bytes = f(4 * parts * kDim), .flops = f(3 * parts * kDim), .call = [=] {
            std::fill(acc->begin(), acc->end(), 0.f);
            Partial all{.acc = acc->data()};
            for (std::size_t p = 0; p < parts; ++p)
              merge(all,
                    {.max = f(p % 7) > 3 ? 1.f : 0.f, .sum = 1, .acc = sums->data() + p * kDim},
                    kDim);
            finish(all, out->data(), kDim);
          }};
}

constexpr std::size_t kTokens = 64;

std::shared_ptr<AlignedBuffer<std::byte>> packed_rows(const OpTable& k,
                                                      const std::vector<float>& x) {
  const auto packed = buffer<std::byte>(gemm_packed_bytes(kTokens, kHidden));
  k.gemm_pack(x.data(), kHidden, kTokens, kHidden, packed->data());
  return packed;
}

Case gemm_case(const OpTable& k, Quant type, bool tiles) {
  constexpr std::size_t rows = 128;
  const QuantInfo& info = quant_info(type);
  const auto w = keep(random_blocks(info, rows * kHidden / info.block, 1));
  const auto x = keep(random_floats(kTokens * kHidden, 2)),
             y = keep(std::vector<float>(kTokens * rows));
  const auto scratch = buffer<std::byte>(gemm_scratch_bytes(kHidden));
  const auto packed = tiles ? packed_rows(k, *x) : buffer<std::byte>(0);
  return {.bytes = f(w->size() + 4 * x->size() + 4 * y->size()),
          .flops = f(2 * kTokens * rows * kHidden),
          .product = tiles ? Product::kLevel : Product::kF32,
          .call = [=, &k, &info] {
            k.gemm({.type = type,
                    .w = w->data(),
                    .row_bytes = kHidden / info.block * info.block_bytes,
                    .rows = rows,
                    .cols = kHidden,
                    .x = x->data(),
                    .x_stride = kHidden,
                    .tokens = kTokens,
                    .packed = tiles ? packed->data() : nullptr,
                    .y = y->data(),
                    .y_stride = rows,
                    .scratch = scratch->data()});
          }};
}

Case gemm_pack_case(const OpTable& k) {
  const auto x = keep(random_floats(kTokens * kHidden, 1));
  const auto packed = buffer<std::byte>(gemm_packed_bytes(kTokens, kHidden));
  return {.bytes = f(6 * x->size()),
          .call = [=, &k] { k.gemm_pack(x->data(), kHidden, kTokens, kHidden, packed->data()); }};
}

Case gemm_gated_case(const OpTable& k) {
  constexpr std::size_t rows = 128;
  const QuantInfo& info = quant_info(Quant::kQ8_0);
  const std::size_t row_bytes = kHidden / info.block * info.block_bytes;
  const auto gate = keep(random_blocks(info, rows * kHidden / info.block, 1)),
             up = keep(random_blocks(info, rows * kHidden / info.block, 2));
  const auto packed = packed_rows(k, random_floats(kTokens * kHidden, 3));
  const auto out = buffer<std::byte>(gemm_packed_bytes(kTokens, rows)),
             scratch = buffer<std::byte>(gated_scratch_bytes(kTokens, kHidden));
  return {.bytes = f(2 * gate->size() + packed->size() + out->size()),
          .flops = f(4 * kTokens * rows * kHidden),
          .product = Product::kLevel,
          .call = [=, &k] {
            k.gemm_gated({.gate = {Quant::kQ8_0, gate->data(), row_bytes},
                          .up = {Quant::kQ8_0, up->data(), row_bytes},
                          .rows = rows,
                          .cols = kHidden,
                          .tokens = kTokens,
                          .packed = packed->data(),
                          .out = out->data(),
                          .out_cols = rows,
                          .scratch = scratch->data()});
          }};
}

}  // namespace

std::vector<CaseMaker> kernel_cases(Level level) {
  const OpTable& k = table_for(level);
  std::vector<CaseMaker> all{
      {"dot/f32", [&k] { return dot_case(k); }},
      {"dot/bf16", [&k] { return dot_bf16_case(k); }},
      {"quantize_rows", [&k] { return quantize_rows_case(k); }},
      {"gemv_f32/Q8_0", [&k] { return gemv_case(k, Quant::kQ8_0, true); }},
      {"rms_norm", [&k] { return rms_norm_case(k); }},
      {"rope", [&k] { return rope_case(k); }},
      {"swiglu", [&k] { return gate_case(k.swiglu); }},
      {"geglu", [&k] { return gate_case(k.geglu); }},
      {"score/contiguous", [&k] { return score_case(k, false); }},
      {"score/gathered", [&k] { return score_case(k, true); }},
      {"topk", [&k] { return topk_case(k); }},
      {"score_codes/8", [&k] { return codes_case(k, 8); }},
      {"score_codes/4", [&k] { return codes_case(k, 4); }},
      {"score_codes/rule", [&k] { return score_rule_case(k); }},
      {"codes_at_least/8", [&k] { return codes_at_least_case(k, 8); }},
      {"codes_at_least/4", [&k] { return codes_at_least_case(k, 4); }},
      {"encode_query", [&k] { return encode_query_case(k); }},
      {"group_at_least", [&k] { return group_at_least_case(k); }},
      {"kth_largest", [&k] { return select_case(k, Cut::kKth); }},
      {"at_least", [&k] { return select_case(k, Cut::kAtLeast); }},
      {"largest", [&k] { return select_case(k, Cut::kLargest); }},
      {"attend_partial/bf16", [&k] { return attend_partial_case(k, KvType::kBf16, false); }},
      {"attend_partial/gathered", [&k] { return attend_partial_case(k, KvType::kBf16, true); }},
      {"attend_partial/int8", [&k] { return attend_partial_case(k, KvType::kInt8, false); }},
      {"attend_causal", [&k] { return attend_causal_case(k, false); }},
      {"attend_causal/f32", [&k] { return attend_causal_case(k, true); }},
      {"partial_merge", [] { return partial_merge_case(); }},
      {"gemm/f32/Q8_0", [&k] { return gemm_case(k, Quant::kQ8_0, false); }},
  };
  for (const QuantInfo& info : all_quants()) {
    all.push_back({"decode_row/" + std::string(info.name),
                   [&k, &info] { return decode_row_case(k, info.id); }});
    all.push_back(
        {"gemv/" + std::string(info.name), [&k, &info] { return gemv_case(k, info.id, false); }});
  }
  if (k.gemm_pack != nullptr) {
    all.push_back({"gemm_pack", [&k] { return gemm_pack_case(k); }});
    all.push_back({"gemm/tiles/Q8_0", [&k] { return gemm_case(k, Quant::kQ8_0, true); }});
  }
  if (k.gemm_gated != nullptr) all.push_back({"gemm_gated", [&k] { return gemm_gated_case(k); }});
  return all;
}

}  // namespace ra::bench_micro
