// SPDX-License-Identifier: Apache-2.0
#include "lib/model/cuda_backend.h"

#include <cmath>
#include <limits>
#include <vector>

#include "kernels/quant.h"
#include "lib/core/error.h"
#include "lib/core/matrix.h"
#include "lib/model/cuda_attention.h"
#include "tests/support/cuda/machine.h"
#include "tests/support/quant_blocks.h"
#include "tests/support/reference_backend.h"
#include "tests/support/tiny_run.h"

namespace ra::model {
namespace {

using testing::random_matrix;

class CudaBackendTest : public testing::DeviceTest {};
RA_INSTANTIATE_MACHINES(CudaBackendTest);

// Blocks and a view of them.
struct Stored {
  Stored(kernels::Quant type, std::size_t rows, std::size_t cols, std::uint64_t seed)
      : blocks(testing::random_blocks(kernels::quant_info(type),
                                      rows * cols / kernels::quant_info(type).block, seed)) {
    const auto& info = kernels::quant_info(type);
    weight = {type, blocks.data(), rows, cols, cols / info.block * info.block_bytes};
  }
  std::vector<std::byte> blocks;
  Weight weight;
};

// A matrix in the backend's memory.
struct OnBackend {
  OnBackend(Backend& b, const Matrix<float>& m)
      : backend(b),
        memory(b.allocate(m.rows() * m.cols())),
        view(memory.get(), m.rows(), m.cols()) {
    backend.from_host(m.view(), view);
  }
  Backend& backend;
  std::shared_ptr<float> memory;
  MatView<float> view;
};

void expect_near(Backend& backend, MatView<const float> device, const Matrix<float>& want,
                 double tolerance) {
  const MatView<const float> got = backend.on_host(device);
  double scale = 0;
  for (std::size_t i = 0; i < want.rows() * want.cols(); ++i)
    scale = std::max(scale, std::fabs(static_cast<double>(want.data()[i])));
  for (std::size_t r = 0; r < want.rows(); ++r)
    for (std::size_t c = 0; c < want.cols(); ++c)
      ASSERT_NEAR(got.row(r)[c], want.row(r)[c], tolerance * scale) << r << ' ' << c;
}

TEST_P(CudaBackendTest, ProductsMatchTheReferenceAtEveryRowCount) {
  CudaBackend fast(0), exact(0, Compute::kF32);
  test::ReferenceBackend reference;
  const Stored w(kernels::Quant::kQ4_K, 40, 256, 1), v(kernels::Quant::kF16, 24, 256, 2),
      bias(kernels::Quant::kF32, 1, 40, 3);
  for (const std::size_t tokens : {1u, 8u, 9u, 20u}) {
    const Matrix<float> x = random_matrix(tokens, 256, tokens);
    Matrix<float> a(tokens, 40), b(tokens, 24);
    reference.matmul(x.view(), {{w.weight, bias.weight, a.view()}, {v.weight, {}, b.view()}});
    for (CudaBackend* backend : {&fast, &exact}) {
      const OnBackend dx(*backend, x), da(*backend, Matrix<float>(tokens, 40)),
          db(*backend, Matrix<float>(tokens, 24));
      backend->matmul(dx.view, {{w.weight, bias.weight, da.view}, {v.weight, {}, db.view}});
      const double tolerance = backend == &exact ? 1e-6 : 1e-2;
      expect_near(*backend, da.view, a, tolerance);
      expect_near(*backend, db.view, b, tolerance);
      backend->matmul_add(v.weight, dx.view, db.view);
      Matrix<float> twice(tokens, 24);
      for (std::size_t i = 0; i < tokens * 24; ++i) twice.data()[i] = 2 * b.data()[i];
      expect_near(*backend, db.view, twice, tolerance);
    }
  }
}

TEST_P(CudaBackendTest, FeedForwardMatchesTheReference) {
  CudaBackend backend(0, Compute::kF32);
  test::ReferenceBackend reference;
  const Stored gate(kernels::Quant::kQ8_0, 64, 32, 1), up(kernels::Quant::kQ8_0, 64, 32, 2),
      down(kernels::Quant::kQ8_0, 32, 64, 3);
  for (const std::size_t tokens : {1u, 12u})
    for (const bool add : {true, false})
      for (const Activation activation : {Activation::kSilu, Activation::kGelu}) {
        const Matrix<float> h = random_matrix(tokens, 32, 4), y = random_matrix(tokens, 32, 5);
        Matrix<float> want = random_matrix(tokens, 32, 5);
        const FeedForward block{gate.weight, up.weight, down.weight, activation, add};
        reference.feed_forward(block, h.view(), want.view());
        const OnBackend dh(backend, h), dy(backend, y);
        backend.feed_forward(block, dh.view, dy.view);
        expect_near(backend, dy.view, want, 2e-6);
      }
}

TEST_P(CudaBackendTest, EmbedNormAddAndRopeMatchTheReference) {
  CudaBackend backend(0);
  test::ReferenceBackend reference;
  const Stored table(kernels::Quant::kQ6_K, 9, 256, 1), gain(kernels::Quant::kF16, 1, 256, 2);
  const std::vector<std::int32_t> ids{8, 0, 8};
  Matrix<float> want(3, 256);
  const OnBackend x(backend, Matrix<float>(3, 256));
  backend.embed(table.weight, ids, 2, x.view);
  reference.embed(table.weight, ids, 2, want.view());
  expect_near(backend, x.view, want, 1e-7);
  backend.add(x.view, x.view);
  reference.add(want.view(), want.view());
  backend.rms_norm(x.view, gain.weight, 1e-5f, x.view);
  reference.rms_norm(want.view(), gain.weight, 1e-5f, want.view());
  expect_near(backend, x.view, want, 1e-6);
  const std::vector<double> inv_freq{1, 0.1, 0.001};
  for (const std::int64_t pos : {0, 7, 100000}) {
    const Rope rope{.interleaved = pos == 7,
                    .head_dim = 16,
                    .rotary_dims = 6,
                    .inv_freq = inv_freq,
                    .magnitude = 1.1f};
    backend.rope(rope, pos, x.view);
    reference.rope(rope, pos, want.view());
    expect_near(backend, x.view, want, 1e-6);
  }
}

TEST_P(CudaBackendTest, SaysWhichRowIsBadAndHowLongThePartsTook) {
  CudaBackend backend(0);
  Matrix<float> x = random_matrix(6, 40, 1);
  double ms = 0;
  backend.start_clock();
  const OnBackend fine(backend, x);
  backend.lap(&ms);
  EXPECT_EQ(backend.first_bad_row(fine.view), std::nullopt);
  EXPECT_GT(ms, 0);
  x.row(3)[39] = std::numeric_limits<float>::infinity();
  const OnBackend bad(backend, x);
  EXPECT_EQ(backend.first_bad_row(bad.view), 3u);
  EXPECT_EQ(backend.first_bad_row(bad.view.row_range(0, 3)), std::nullopt);
  EXPECT_EQ(backend.first_bad_row(bad.view.row_range(2, 4)), 1u);
}

TEST_P(CudaBackendTest, CountsWhatGoesBetweenHostAndDevice) {
  CudaBackend backend(0);
  const OnBackend x(backend, random_matrix(5, 40, 1));
  const kernels::Transfers up = backend.transfers();
  EXPECT_EQ(up.to_device_bytes, 5 * 40 * 4);
  EXPECT_EQ(up.to_host_bytes, 0);
  for (int i = 0; i < 300; ++i) backend.on_host(x.view.row_range(0, 2));
  const kernels::Transfers down = backend.transfers() - up;
  EXPECT_EQ(down.to_device_bytes, 0);
  EXPECT_EQ(down.to_host_bytes, 300 * 2 * 40 * 4);
  EXPECT_GT(down.ms, 0);
}

TEST_P(CudaBackendTest, NoRoomIsAnErrorWithNumbers) {
  CudaBackend backend(0);
  try {
    backend.allocate(std::size_t{1} << 50);
    FAIL() << "a petabyte";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), Exit::kNoMemory);
    EXPECT_NE(e.text().why.find("bytes are free"), std::string::npos) << e.what();
  }
}

// The logits of a tiny model on the device and on the CPU, prefilled and decoded.
TEST_P(CudaBackendTest, DecodesATinyModelAsTheCpuDoes) {
  const test::FakeGguf file(test::tiny_model("qwen2-f32"));
  const Model m = load(file);
  const auto ids = test::tiny_ids(40);
  for (const Compute compute : {Compute::kF32, Compute::kAuto}) {
    const KvCache::Shape shape{
        m.config.n_layers, m.config.n_kv_heads, m.config.head_dim, m.config.value_dim, 64,
        KvType::kF32};
    KvCache cpu_cache(shape), cache(shape);
    CpuBackend cpu_backend(Compute::kF32);
    CudaBackend backend(0, compute);
    ExactAttention cpu_attention(Compute::kF32);
    CudaAttention attention(backend);
    Decoder cpu(m, cpu_backend, cpu_cache, cpu_attention, {.chunk = 16}),
        decoder(m, backend, cache, attention, {.chunk = 16});
    cpu.prefill(std::span(ids).first(30));
    decoder.prefill(std::span(ids).first(30));
    for (std::size_t i = 30; i < ids.size(); ++i) {
      StepTimes times;
      const auto want = cpu.step(ids[i]);
      const auto got = decoder.step(ids[i], &times);
      double error = 0, size = 0;
      for (std::size_t j = 0; j < want.size(); ++j) {
        error += std::pow(static_cast<double>(got[j] - want[j]), 2);
        size += std::pow(static_cast<double>(want[j]), 2);
      }
      ASSERT_LT(std::sqrt(error / size), compute == Compute::kF32 ? 1e-4 : 5e-2) << "token " << i;
    }
  }
}

}  // namespace
}  // namespace ra::model
