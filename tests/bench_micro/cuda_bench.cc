// SPDX-License-Identifier: Apache-2.0
// Every kernel of the device on the shapes of Qwen2.5-0.5B: bytes and floating-point operations per
// second beside what the device copies and what cuBLAS multiplies. Times are those of events around
// several calls in a row, so that a launch hides behind the kernel before it.
//
// Counters of a line: bytes_per_second and flops as measured; copy_limit, a copy on the device,
// bytes read and written; flop_limit, cuBLAS on square matrices in the numbers that the kernel
// multiplies; of_limit, the larger of the two shares.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kernels/cuda/attend.h"
#include "kernels/cuda/copies.h"
#include "kernels/cuda/decode_rows.h"
#include "kernels/cuda/device.h"
#include "kernels/cuda/device_buffer.h"
#include "kernels/cuda/elementwise.h"
#include "kernels/cuda/exact_topk.h"
#include "kernels/cuda/gemm.h"
#include "kernels/cuda/gemv.h"
#include "kernels/cuda/grid.h"
#include "kernels/cuda/kv_append.h"
#include "kernels/cuda/norm.h"
#include "kernels/cuda/rope.h"
#include "kernels/cuda/score_keys.h"
#include "kernels/cuda/topk.h"
#include "kernels/gemv.h"
#include "kernels/quant.h"
#include "lib/core/rng.h"

namespace {

using namespace ra;
using kernels::Quant;
using kernels::QuantInfo;

constexpr std::size_t kHidden = 896, kFeedForward = 4864, kVocab = 151936;
constexpr std::size_t kHeads = 14, kKvHeads = 2, kGroup = kHeads / kKvHeads, kDim = 64;
constexpr std::size_t kTokens = 1024;  // of a prefill chunk
constexpr std::size_t kBest = 100;

struct Sizes {
  std::size_t pool_bytes = std::size_t{1} << 30;  // weights are read from: above any cache
  std::size_t keys = 131072;
  std::size_t tokens = kTokens, hidden = kHidden, feed_forward = kFeedForward, vocab = kVocab;
  std::size_t square = 8192;  // of the matrices of flop_limit
  int calls = 16;             // timed in a row
};
// Whether everything runs, for an emulation: times mean nothing.
constexpr Sizes kSmall{.pool_bytes = std::size_t{1} << 20,
                       .keys = 600,
                       .tokens = 5,
                       .hidden = 256,
                       .feed_forward = 256,
                       .vocab = 300,
                       .square = 32,
                       .calls = 1};

// What multiplies: the limit of `flops`.
enum class Product { kNone, kF32, kBf16 };

struct Case {
  double bytes = 0, flops = 0;  // of a call
  Product product = Product::kNone;
  std::function<void(int turn)> call;  // queued in the stream it was made with
};

double f(auto n) { return static_cast<double>(n); }

// n elements of bits that are an ordinary number below 2 as f16, bf16 and f32 alike.
template <class T>
std::shared_ptr<cuda::DeviceBuffer<T>> numbers(const cuda::Stream& stream, std::size_t n) {
  std::vector<std::uint64_t> host((n * sizeof(T) + 7) / 8);
  Rng rng(1);
  for (std::uint64_t& word : host) word = (rng.next() & 0xbfffbfffbfffbfffu) | 0x2000200020002000u;
  auto buffer = std::make_shared<cuda::DeviceBuffer<T>>(host.size() * 8 / sizeof(T));
  cuda::Copies(stream).to_device(reinterpret_cast<std::uint64_t*>(buffer->data()), host.data(),
                                 host.size());
  stream.synchronise();
  return buffer;
}

std::size_t row_bytes(const QuantInfo& info, std::size_t cols) {
  return cols / info.block * info.block_bytes;
}

// A matrix at another place of the pool each turn, so that it comes from memory.
class Pool {
 public:
  Pool(const cuda::Stream& stream, const Sizes& sizes, Quant type, std::size_t rows,
       std::size_t cols)
      : rows_{type, nullptr, rows, cols, row_bytes(kernels::quant_info(type), cols)},
        step_(cuda::divide_up<std::size_t>(rows * rows_.row_bytes, 256) * 256),
        places_(std::max<std::size_t>(1, sizes.pool_bytes / step_)),
        bytes_(numbers<std::byte>(stream, places_ * step_)) {}
  cuda::WeightRows at(int turn) const {
    cuda::WeightRows w = rows_;
    w.data = bytes_->data() + static_cast<std::size_t>(turn) % places_ * step_;
    return w;
  }
  double bytes() const { return f(rows_.rows * rows_.row_bytes); }

 private:
  cuda::WeightRows rows_;
  std::size_t step_, places_;
  std::shared_ptr<cuda::DeviceBuffer<std::byte>> bytes_;
};

Case gemv_case(const cuda::Stream& stream, const Sizes& s, Quant type, std::size_t rows,
               std::size_t cols, bool f32) {
  const auto w = std::make_shared<Pool>(stream, s, type, rows, cols);
  const auto x = numbers<float>(stream, cols), y = numbers<float>(stream, rows);
  const auto quantized = numbers<std::byte>(stream, kernels::quantized_row_bytes(cols));
  cuda::quantize_rows(stream.get(), {x->data(), cols, 1, cols, quantized->data()});
  return {.bytes = w->bytes(), .flops = f(2 * rows * cols), .call = [=, &stream](int turn) {
            cuda::gemv(stream.get(), {.w = w->at(turn),
                                      .x = x->data(),
                                      .x_stride = cols,
                                      .tokens = 1,
                                      .quantized = f32 ? nullptr : quantized->data(),
                                      .y = y->data(),
                                      .y_stride = rows});
          }};
}

Case gemm_case(const cuda::Stream& stream, const Sizes& s, Quant type, std::size_t tokens,
               std::size_t rows, std::size_t cols, bool exact_f32) {
  const auto w = std::make_shared<Pool>(stream, s, type, rows, cols);
  const auto x = numbers<float>(stream, tokens * cols), y = numbers<float>(stream, tokens * rows);
  const auto gemm = std::make_shared<cuda::Gemm>(stream.get());
  return {.bytes = w->bytes() + f(4 * tokens * (rows + cols)),
          .flops = f(2 * tokens * rows * cols),
          .product = exact_f32 ? Product::kF32 : Product::kBf16,
          .call = [=](int turn) {
            gemm->multiply({.w = w->at(turn),
                            .x = x->data(),
                            .x_stride = cols,
                            .tokens = tokens,
                            .exact_f32 = exact_f32,
                            .y = y->data(),
                            .y_stride = rows});
          }};
}

template <class Out>
Case decode_rows_case(const cuda::Stream& stream, const Sizes& s, Quant type) {
  const std::size_t block = kernels::quant_info(type).block;
  const std::size_t rows = s.feed_forward, cols = s.hidden / block * block;
  const auto w = std::make_shared<Pool>(stream, s, type, rows, cols);
  const auto out = numbers<Out>(stream, rows * cols);
  return {.bytes = w->bytes() + f(rows * cols * sizeof(Out)), .call = [=, &stream](int turn) {
            cuda::decode_rows(
                stream.get(),
                cuda::DecodeRowsArgs<Out>{
                    .w = w->at(turn), .count = rows, .out = out->data(), .out_stride = cols});
          }};
}

// Keys and values of one layer, or of several of which each turn reads the next.
class Keys {
 public:
  Keys(const cuda::Stream& stream, const Sizes& s)
      : capacity_(s.keys),
        half_(kKvHeads * s.keys * kDim),
        layers_(std::max<std::size_t>(1, s.pool_bytes / (4 * half_))),
        rows_(numbers<bf16>(stream, layers_ * 2 * half_)) {}
  cuda::DeviceKeys at(int turn) const {
    const bf16* k = rows_->data() + static_cast<std::size_t>(turn) % layers_ * 2 * half_;
    return {.k = k,
            .v = k + half_,
            .kv_heads = kKvHeads,
            .capacity = capacity_,
            .head_dim = kDim,
            .value_dim = kDim};
  }

 private:
  std::size_t capacity_, half_, layers_;
  std::shared_ptr<cuda::DeviceBuffer<bf16>> rows_;
};

// Partial results of kHeads heads in `splits` parts each.
struct Parts {
  Parts(const cuda::Stream& stream, std::size_t splits)
      : max(numbers<float>(stream, kHeads * splits)),
        sum(numbers<float>(stream, kHeads * splits)),
        acc(numbers<float>(stream, kHeads * splits * kDim)) {}
  cuda::DevicePartials view() const { return {max->data(), sum->data(), acc->data()}; }
  std::shared_ptr<cuda::DeviceBuffer<float>> max, sum, acc;
};

cuda::KeySplits splits_of(std::size_t keys, std::size_t kv_heads, std::size_t group) {
  return {keys, cuda::attend_decode_blocks(kv_heads, group), cuda::multiprocessors(0)};
}

Case attend_decode_case(const cuda::Stream& stream, const Sizes& s) {
  const auto kv = std::make_shared<Keys>(stream, s);
  const cuda::KeySplits splits = splits_of(s.keys, kKvHeads, kGroup);
  const auto parts = std::make_shared<Parts>(stream, splits.count);
  const auto q = numbers<float>(stream, kHeads * kDim);
  return {.bytes = f(4 * kKvHeads * s.keys * kDim),
          .flops = f(4 * kHeads * s.keys * kDim),
          .product = Product::kF32,
          .call = [=, &stream](int turn) {
            cuda::attend_decode(stream.get(), {.q = q->data(),
                                               .group = kGroup,
                                               .kv = kv->at(turn),
                                               .keys = {{0, s.keys}, {}},
                                               .scale = 0.125f,
                                               .splits = splits.count,
                                               .split_keys = splits.length,
                                               .out = parts->view(),
                                               .part_stride = splits.count});
          }};
}

// Each head attends to kBest keys of its own.
Case attend_ids_case(const cuda::Stream& stream, const Sizes& s) {
  const auto kv = std::make_shared<Keys>(stream, s);
  const cuda::KeySplits splits = splits_of(kBest, kHeads, 1);
  const auto parts = std::make_shared<Parts>(stream, splits.count);
  const auto q = numbers<float>(stream, kHeads * kDim);
  std::vector<std::uint32_t> chosen(kHeads * kBest);
  Rng rng(2);
  for (std::uint32_t& id : chosen) id = static_cast<std::uint32_t>(rng.below(s.keys));
  const auto ids = std::make_shared<cuda::DeviceBuffer<std::uint32_t>>(chosen.size());
  cuda::Copies(stream).to_device(ids->data(), chosen.data(), chosen.size());
  stream.synchronise();
  return {.bytes = f(4 * kHeads * kBest * kDim), .call = [=, &stream](int turn) {
            cuda::attend_decode(stream.get(), {.q = q->data(),
                                               .group = kGroup,
                                               .kv = kv->at(turn),
                                               .keys = {{0, kBest}, {}},
                                               .ids = ids->data(),
                                               .id_stride = kBest,
                                               .scale = 0.125f,
                                               .splits = splits.count,
                                               .split_keys = splits.length,
                                               .out = parts->view(),
                                               .part_stride = splits.count});
          }};
}

Case merge_case(const cuda::Stream& stream, const Sizes& s) {
  const cuda::KeySplits splits = splits_of(s.keys, kKvHeads, kGroup);
  const auto parts = std::make_shared<Parts>(stream, splits.count);
  const auto out = numbers<float>(stream, kHeads * kDim);
  return {.bytes = f(4 * kHeads * splits.count * (2 + kDim)), .call = [=, &stream](int) {
            cuda::merge_partials(stream.get(), {.parts = parts->view(),
                                                .heads = kHeads,
                                                .splits = splits.count,
                                                .value_dim = kDim,
                                                .finished = out->data()});
          }};
}

Case attend_causal_case(const cuda::Stream& stream, const Sizes& s) {
  const auto kv = std::make_shared<Keys>(stream, s);
  const std::size_t pos0 = std::min<std::size_t>(s.keys, 8192 + s.tokens) - s.tokens;
  const auto q = numbers<float>(stream, s.tokens * kHeads * kDim),
             out = numbers<float>(stream, s.tokens * kHeads * kDim);
  const double scores = f(kHeads) * (f(s.tokens * pos0) + f(s.tokens * (s.tokens + 1)) / 2);
  return {.flops = 4 * scores * f(kDim), .product = Product::kF32, .call = [=, &stream](int turn) {
            cuda::attend_causal(stream.get(), {.q = q->data(),
                                               .q_stride = kHeads * kDim,
                                               .tokens = s.tokens,
                                               .group = kGroup,
                                               .pos0 = pos0,
                                               .kv = kv->at(turn),
                                               .scale = 0.125f,
                                               .out = out->data(),
                                               .out_stride = kHeads * kDim});
          }};
}

Case score_keys_case(const cuda::Stream& stream, const Sizes& s) {
  const auto kv = std::make_shared<Keys>(stream, s);
  const auto q = numbers<float>(stream, kHeads * kDim),
             out = numbers<float>(stream, kHeads * s.keys);
  return {.bytes = f(2 * kKvHeads * s.keys * kDim) + f(4 * kHeads * s.keys),
          .flops = f(2 * kHeads * s.keys * kDim),
          .product = Product::kF32,
          .call = [=, &stream](int turn) {
            cuda::score_keys(stream.get(), {.q = q->data(),
                                            .group = kGroup,
                                            .kv = kv->at(turn),
                                            .keys = {0, s.keys},
                                            .out = out->data(),
                                            .out_stride = s.keys});
          }};
}

Case topk_case(const cuda::Stream& stream, const Sizes& s) {
  const auto scores = numbers<float>(stream, kHeads * s.keys),
             best = numbers<float>(stream, kHeads * s.keys);
  const auto ids = numbers<std::uint32_t>(stream, kHeads * s.keys);
  const cuda::KeySplits splits(s.keys, kHeads, cuda::multiprocessors(0));
  const std::size_t piece = std::max(splits.length, 8 * kBest),
                    pieces = cuda::divide_up(s.keys, piece);
  return {.bytes = f(4 * kHeads * s.keys), .call = [=, &stream](int) {
            cuda::topk(stream.get(), {.scores = scores->data(),
                                      .score_stride = s.keys,
                                      .rows = kHeads,
                                      .n = s.keys,
                                      .k = kBest,
                                      .piece = piece,
                                      .out_ids = ids->data(),
                                      .out_scores = best->data(),
                                      .out_stride = pieces * kBest});
          }};
}

Case best_column_case(const cuda::Stream& stream, const Sizes& s) {
  const std::size_t rows = s.tokens, n = s.feed_forward;
  const auto scores = numbers<float>(stream, rows * n), best = numbers<float>(stream, rows);
  const auto ids = numbers<std::uint32_t>(stream, rows);
  return {.bytes = f(4 * rows * n), .call = [=, &stream](int) {
            cuda::best_column(stream.get(), {.scores = scores->data(),
                                             .score_stride = n,
                                             .rows = rows,
                                             .n = n,
                                             .out_ids = ids->data(),
                                             .out_scores = best->data()});
          }};
}

// The exact best keys of training queries.
Case best_keys_case(const cuda::Stream& stream, const Sizes& s) {
  const std::size_t queries = s.tokens, keys = std::min<std::size_t>(s.keys, 32768);
  const auto q = numbers<float>(stream, queries * kDim), k = numbers<float>(stream, keys * kDim),
             scores = numbers<float>(stream, queries * kBest);
  const auto ids = numbers<std::uint32_t>(stream, queries * kBest);
  const auto tiles = std::make_shared<cuda::ScoreTiles>(stream);
  return {.flops = f(2 * queries * keys * kDim), .product = Product::kF32, .call = [=](int) {
            tiles->best_keys({q->data(), queries, kDim, kDim}, {k->data(), keys, kDim, kDim},
                             nullptr, kBest, ids->data(), scores->data());
          }};
}

Case quantize_rows_case(const cuda::Stream& stream, const Sizes& s) {
  const std::size_t cols = s.feed_forward;
  const auto x = numbers<float>(stream, cols);
  const auto out = numbers<std::byte>(stream, kernels::quantized_row_bytes(cols));
  return {.bytes = f(4 * cols + out->size()), .call = [=, &stream](int) {
            cuda::quantize_rows(stream.get(), {x->data(), cols, 1, cols, out->data()});
          }};
}

Case rms_norm_case(const cuda::Stream& stream, const Sizes& s) {
  const auto x = numbers<float>(stream, s.tokens * s.hidden),
             y = numbers<float>(stream, s.tokens * s.hidden),
             gain = numbers<float>(stream, s.hidden);
  return {.bytes = f(8 * s.tokens * s.hidden), .call = [=, &stream](int) {
            cuda::rms_norm(stream.get(), {.x = x->data(),
                                          .x_stride = s.hidden,
                                          .gain = gain->data(),
                                          .y = y->data(),
                                          .y_stride = s.hidden,
                                          .rows = s.tokens,
                                          .n = s.hidden,
                                          .eps = 1e-6f});
          }};
}

Case rope_case(const cuda::Stream& stream, const Sizes& s) {
  const auto x = numbers<float>(stream, s.tokens * kHeads * kDim),
             cos = numbers<float>(stream, s.tokens * kDim / 2),
             sin = numbers<float>(stream, s.tokens * kDim / 2);
  const auto inv_freq = std::make_shared<cuda::DeviceBuffer<double>>(kDim / 2);
  const std::vector<double> frequencies(kDim / 2, 0.01);
  cuda::Copies(stream).to_device(inv_freq->data(), frequencies.data(), frequencies.size());
  stream.synchronise();
  return {.bytes = f(8 * s.tokens * kHeads * kDim), .call = [=, &stream](int) {
            cuda::rope_angles(stream.get(), {.inv_freq = inv_freq->data(),
                                             .tokens = s.tokens,
                                             .pairs = kDim / 2,
                                             .cos = cos->data(),
                                             .sin = sin->data()});
            cuda::rope(stream.get(), {.x = x->data(),
                                      .stride = kHeads * kDim,
                                      .tokens = s.tokens,
                                      .heads = kHeads,
                                      .head_dim = kDim,
                                      .rotary_dims = kDim,
                                      .cos = cos->data(),
                                      .sin = sin->data()});
          }};
}

Case gate_case(const cuda::Stream& stream, const Sizes& s) {
  const std::size_t n = s.tokens * s.feed_forward;
  const auto up = numbers<float>(stream, n), gate = numbers<float>(stream, n);
  return {.bytes = f(12 * n), .call = [=, &stream](int) {
            cuda::gate(stream.get(), {.up = up->data(), .gate = gate->data(), .n = n});
          }};
}

Case add_case(const cuda::Stream& stream, const Sizes& s) {
  const auto x = numbers<float>(stream, s.tokens * s.hidden),
             y = numbers<float>(stream, s.tokens * s.hidden);
  return {.bytes = f(12 * s.tokens * s.hidden), .call = [=, &stream](int) {
            cuda::add(stream.get(), {.y = y->data(),
                                     .y_stride = s.hidden,
                                     .x = x->data(),
                                     .x_stride = s.hidden,
                                     .rows = s.tokens,
                                     .cols = s.hidden});
          }};
}

Case first_bad_row_case(const cuda::Stream& stream, const Sizes& s) {
  const auto x = numbers<float>(stream, s.tokens * s.hidden);
  const auto row = numbers<std::uint32_t>(stream, 1);
  return {.bytes = f(4 * s.tokens * s.hidden), .call = [=, &stream](int) {
            cuda::first_bad_row(stream.get(), {.x = x->data(),
                                               .stride = s.hidden,
                                               .rows = s.tokens,
                                               .cols = s.hidden,
                                               .row = row->data()});
          }};
}

Case narrow_case(const cuda::Stream& stream, const Sizes& s) {
  const auto x = numbers<float>(stream, s.tokens * s.feed_forward);
  const auto out = numbers<bf16>(stream, s.tokens * s.feed_forward);
  return {.bytes = f(6 * s.tokens * s.feed_forward), .call = [=, &stream](int) {
            cuda::narrow(stream.get(), {.x = x->data(),
                                        .stride = s.feed_forward,
                                        .rows = s.tokens,
                                        .cols = s.feed_forward,
                                        .out = out->data()});
          }};
}

Case kv_append_case(const cuda::Stream& stream, const Sizes& s) {
  const auto x = numbers<float>(stream, s.tokens * kKvHeads * kDim);
  const auto cache = numbers<bf16>(stream, kKvHeads * s.keys * kDim);
  return {.bytes = f(6 * s.tokens * kKvHeads * kDim), .call = [=, &stream](int) {
            cuda::kv_append(stream.get(), {.x = x->data(),
                                           .x_stride = kKvHeads * kDim,
                                           .tokens = s.tokens,
                                           .kv_heads = kKvHeads,
                                           .dim = kDim,
                                           .capacity = s.keys,
                                           .cache = cache->data()});
          }};
}

double seconds_of(const cuda::Stream& stream, const Sizes& s, const Case& c) {
  cuda::Event begin, end;
  begin.record(stream);
  for (int turn = 0; turn < s.calls; ++turn) c.call(turn);
  end.record(stream);
  end.wait();
  return end.ms_since(begin) / 1e3 / s.calls;
}

// Fastest of a few; calls that nothing came before are not counted.
double least_seconds(const cuda::Stream& stream, const Sizes& s, const Case& c) {
  seconds_of(stream, s, c);
  double least = seconds_of(stream, s, c);
  for (int i = 0; i < 4; ++i) least = std::min(least, seconds_of(stream, s, c));
  return least;
}

// Bytes per second, measured once.
double copy_limit(const cuda::Stream& stream, const Sizes& s) {
  static const double limit = [&] {
    const std::size_t half = s.pool_bytes / 2;
    const auto bytes = numbers<std::byte>(stream, 2 * half);
    const Case copy{.call = [&](int) {
      stream.copy_rows(bytes->data() + half, half, bytes->data(), half, half, 1);
    }};
    return f(2 * half) / least_seconds(stream, s, copy);
  }();
  return limit;
}

// Operations per second, measured once for each; 0 where the kernel multiplies next to nothing.
double flop_limit(const cuda::Stream& stream, const Sizes& s, Product product) {
  if (product == Product::kNone) return 0;
  const auto measure = [&](Quant type, bool exact_f32) {
    const Case c = gemm_case(stream, s, type, s.square, s.square, s.square, exact_f32);
    return c.flops / least_seconds(stream, s, c);
  };
  static const double in_f32 = measure(Quant::kF32, true), in_bf16 = measure(Quant::kBF16, false);
  return product == Product::kF32 ? in_f32 : in_bf16;
}

using Maker = std::function<Case(const cuda::Stream&, const Sizes&)>;

void run(benchmark::State& state, const Maker& make, const Sizes& s) {
  const cuda::Stream stream;
  const Case c = make(stream, s);
  seconds_of(stream, s, c);
  for (auto _ : state) state.SetIterationTime(seconds_of(stream, s, c));
  using benchmark::Counter;
  const auto rate = [](double amount) {
    return Counter(amount, Counter::kIsIterationInvariantRate);
  };
  double least = 0;
  if (c.bytes > 0) {
    const double limit = copy_limit(stream, s);
    state.counters["bytes_per_second"] = rate(c.bytes);
    state.counters["copy_limit"] = limit;
    least = c.bytes / limit;
  }
  if (c.flops > 0) state.counters["flops"] = rate(c.flops);
  if (const double limit = flop_limit(stream, s, c.product); limit > 0) {
    state.counters["flop_limit"] = limit;
    least = std::max(least, c.flops / limit);
  }
  state.counters["of_limit"] = rate(least);
}

void add(const Sizes& sizes, const std::string& name, Maker make) {
  benchmark::RegisterBenchmark(("cuda/" + name).c_str(), run, std::move(make), sizes)
      ->UseManualTime()
      ->Unit(benchmark::kMicrosecond);
}

void add_weights(const Sizes& s, const QuantInfo& info) {
  const std::string name(info.name);
  // 896 is no multiple of 256.
  const std::size_t rows = info.block == 256 ? s.hidden : s.feed_forward,
                    cols = info.block == 256 ? s.feed_forward : s.hidden;
  for (const bool f32 : {false, true}) {
    if (f32 && info.block == 1) continue;  // are f32 products anyway
    add(s, fmt::format("gemv{}/{}/{}x{}", f32 ? "_f32" : "", name, rows, cols),
        [=](const cuda::Stream& stream, const Sizes& sizes) {
          return gemv_case(stream, sizes, info.id, rows, cols, f32);
        });
  }
  add(s, fmt::format("gemm/{}/{}x{}x{}", name, s.tokens, rows, cols),
      [=](const cuda::Stream& stream, const Sizes& sizes) {
        return gemm_case(stream, sizes, info.id, sizes.tokens, rows, cols, false);
      });
  add(s, "decode_rows/f32/" + name, [id = info.id](const cuda::Stream& stream, const Sizes& sizes) {
    return decode_rows_case<float>(stream, sizes, id);
  });
  add(s, "decode_rows/bf16/" + name,
      [id = info.id](const cuda::Stream& stream, const Sizes& sizes) {
        return decode_rows_case<bf16>(stream, sizes, id);
      });
}

}  // namespace

// <program> [benchmark options] [--small]
int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  const Sizes sizes = argc > 1 && std::string_view(argv[1]) == "--small" ? kSmall : Sizes{};
  if (const std::string why = cuda::why_absent(0); !why.empty()) {
    fmt::print(stderr, "cuda_bench: error: no device: {}\n", why);
    return 69;
  }
  cuda::select(0);
  benchmark::AddCustomContext("device", cuda::name_of(0));
  for (const QuantInfo& info : kernels::all_quants()) add_weights(sizes, info);
  add(sizes, fmt::format("gemv/Q8_0/{}x{}", sizes.vocab, sizes.hidden),
      [](const cuda::Stream& stream, const Sizes& s) {
        return gemv_case(stream, s, Quant::kQ8_0, s.vocab, s.hidden, false);
      });
  add(sizes, "gemm_f32", [](const cuda::Stream& stream, const Sizes& s) {
    return gemm_case(stream, s, Quant::kF32, s.tokens, s.feed_forward, s.hidden, true);
  });
  const std::pair<const char*, Maker> others[] = {{"attend_decode", attend_decode_case},
                                                  {"attend_decode/ids", attend_ids_case},
                                                  {"merge_partials", merge_case},
                                                  {"attend_causal", attend_causal_case},
                                                  {"score_keys", score_keys_case},
                                                  {"topk", topk_case},
                                                  {"best_column", best_column_case},
                                                  {"best_keys", best_keys_case},
                                                  {"quantize_rows", quantize_rows_case},
                                                  {"rms_norm", rms_norm_case},
                                                  {"rope", rope_case},
                                                  {"gate", gate_case},
                                                  {"add", add_case},
                                                  {"first_bad_row", first_bad_row_case},
                                                  {"narrow", narrow_case},
                                                  {"kv_append", kv_append_case}};
  for (const auto& [name, make] : others) add(sizes, name, make);
  benchmark::RunSpecifiedBenchmarks();
}
