// SPDX-License-Identifier: Apache-2.0
#include "tests/store/sample_dump.h"

#include <gtest/gtest.h>

#include "lib/core/rng.h"
#include "lib/store/convert.h"

namespace ra::store::testing {
namespace {

float raw_value(int layer, char kind, std::int64_t pos, std::int64_t head, std::int64_t dim) {
  Rng rng(static_cast<std::uint64_t>(kind), static_cast<std::uint64_t>(layer),
          static_cast<std::uint64_t>(pos), static_cast<std::uint64_t>(head * 1000 + dim));
  return static_cast<float>(rng.uniform() * 8 - 4);
}

Matrix<float> rows_of_kind(char kind, int layer, std::int64_t pos, std::int64_t n,
                           std::int64_t heads, std::int64_t width) {
  Matrix<float> m(static_cast<std::size_t>(n), static_cast<std::size_t>(heads * width));
  for (std::int64_t i = 0; i < n; ++i)
    for (std::int64_t h = 0; h < heads; ++h)
      for (std::int64_t d = 0; d < width; ++d)
        m.row(static_cast<std::size_t>(i))[h * width + d] = raw_value(layer, kind, pos + i, h, d);
  return m;
}

}  // namespace

Sample sample_dump(DType dtype) {
  Sample s;
  DumpInfo& i = s.info;
  i.tool_version = "0.1.0";
  i.git_commit = "abc";
  i.command_line = "ra-dump -m 'm.gguf'";
  i.created_utc = "2026-01-31T12:00:00Z";
  i.seed = 7;
  i.model_file = "m.gguf";
  i.model_sha256 = std::string(64, 'a');
  i.architecture = "llama";
  i.n_layers = 4;
  i.n_heads = 4;
  i.n_kv_heads = 2;
  i.head_dim = 8;
  i.value_dim = 6;
  i.rope_style = "half";
  i.rope_base = 10000;
  i.rope_scaling = R"({"type":"none","factor":1.0,"original_context":null,"rotary_dims":8})";
  i.dtype = dtype;
  i.n_tokens = 50;
  i.n_prefill = 40;
  i.scale = 0.25;
  i.layers = {0, 2, 3};
  for (std::int64_t pos = 1; pos < 50; pos += pos < 40 ? 3 : 1) {
    i.q_pos.push_back(pos);
    i.phase.push_back(pos < 40 ? 0 : 1);
  }
  for (int t = 0; t < 50; ++t) s.ids.push_back(t * 7);
  i.ids.assign(s.ids.begin(), s.ids.begin() + 40);
  for (int t = 0; t < 49; ++t) s.nll.push_back(0.5f * static_cast<float>(t));
  s.logits_last = {1, -2, 3.5f};
  return s;
}

float sample_value(const Sample& s, int layer, char kind, std::int64_t pos, std::int64_t head,
                   std::int64_t dim) {
  const float raw = raw_value(layer, kind, pos, head, dim);
  std::uint32_t stored = 0;
  float value = 0;
  narrow(s.info.dtype, &raw, 1, &stored);
  widen(s.info.dtype, &stored, 1, &value);
  return value;
}

void feed(DumpWriter& writer, const Sample& s, std::int64_t first, std::int64_t last,
          std::int64_t rows) {
  const DumpInfo& i = s.info;
  for (std::int64_t pos = first; pos < last;) {
    const std::int64_t n = pos < i.n_prefill ? std::min({rows, i.n_prefill - pos, last - pos}) : 1;
    for (int layer = 0; layer < i.n_layers; ++layer) {  // also those that are not dumped
      const auto q = rows_of_kind('q', layer, pos, n, i.n_heads, i.head_dim);
      const auto k = rows_of_kind('k', layer, pos, n, i.n_kv_heads, i.head_dim);
      const auto v = rows_of_kind('v', layer, pos, n, i.n_kv_heads, i.value_dim);
      writer.append(layer, pos, q.view(), k.view(), v.view());
    }
    pos += n;
  }
}

void write_sample(const Sample& s, const WriterOptions& options) {
  const auto writer = DumpWriter::create(s.info, options);
  feed(*writer, s, 0, s.info.n_tokens);
  writer->finish(s.ids, s.nll, s.logits_last);
}

void expect_sample(const std::filesystem::path& file, const Sample& s) {
  const auto reader = DumpReader::open(file);
  const DumpInfo &got = reader->info(), &want = s.info;
  EXPECT_EQ(got.tool_version, want.tool_version);
  EXPECT_EQ(got.command_line, want.command_line);
  EXPECT_EQ(got.created_utc, want.created_utc);
  EXPECT_EQ(got.seed, want.seed);
  EXPECT_EQ(got.model_sha256, want.model_sha256);
  EXPECT_EQ(got.model_name, want.model_name);
  EXPECT_EQ(got.n_layers, want.n_layers);
  EXPECT_EQ(got.value_dim, want.value_dim);
  EXPECT_EQ(got.rope_style, want.rope_style);
  EXPECT_EQ(got.rope_base, want.rope_base);
  EXPECT_EQ(got.rope_scaling, want.rope_scaling);
  EXPECT_EQ(got.dtype, want.dtype);
  EXPECT_EQ(got.n_prefill, want.n_prefill);
  EXPECT_EQ(got.scale, want.scale);
  EXPECT_EQ(got.layers, want.layers);
  EXPECT_EQ(got.ids, s.ids);
  EXPECT_EQ(got.q_pos, want.q_pos);
  EXPECT_EQ(got.phase, want.phase);
  EXPECT_EQ(got.nll, s.nll);
  EXPECT_EQ(got.logits_last, s.logits_last);
  const auto compare = [&](char kind, int layer, std::int64_t head, const Matrix<float>& rows,
                           auto position) {
    for (std::size_t r = 0; r < rows.rows(); ++r)
      for (std::size_t d = 0; d < rows.cols(); ++d)
        ASSERT_EQ(rows.row(r)[d],
                  sample_value(s, layer, kind, position(r), head, static_cast<std::int64_t>(d)))
            << kind << " layer " << layer << " head " << head << " row " << r;
  };
  const auto same = [](std::size_t r) { return static_cast<std::int64_t>(r); };
  for (const int layer : want.layers) {
    for (int h = 0; h < want.n_kv_heads; ++h) {
      compare('k', layer, h, reader->read_k(layer, h, 0, want.n_tokens), same);
      compare('v', layer, h, reader->read_v(layer, h, 0, want.n_tokens), same);
      compare('k', layer, h, reader->read_k(layer, h, 17, 12),
              [](std::size_t r) { return static_cast<std::int64_t>(r) + 17; });
    }
    for (int h = 0; h < want.n_heads; ++h)
      compare('q', layer, h, reader->read_q(layer, h, 0, std::ssize(want.q_pos)),
              [&](std::size_t r) { return want.q_pos[r]; });
  }
}

}  // namespace ra::store::testing
