// SPDX-License-Identifier: Apache-2.0
#include "lib/model/read_config.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "lib/core/error.h"
#include "tests/support/fake_gguf.h"

namespace ra::model {
namespace {

using test::FakeGguf;
using Change = std::function<void(FakeGguf&)>;
using std::int64_t;

Config config_after(const Change& change, const LoadOptions& options = {}) {
  FakeGguf file(test::tiny_model("llama-f32"));
  change(file);
  return read_config(file, *find_architecture("llama"), options);
}

void expect_refused(const std::string& key, const Change& change, const LoadOptions& options = {}) {
  try {
    config_after(change, options);
    ADD_FAILURE() << key << ": accepted";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), Exit::kBadData) << e.what();
    EXPECT_EQ(e.text().where, "llama." + key) << e.what();
  }
}

void expect_refused_value(const std::string& key, gguf::Value value) {
  expect_refused(key, [&](FakeGguf& f) { f.set("llama." + key, value); });
}

gguf::Value integers(std::vector<int64_t> values) { return gguf::Array(std::move(values)); }

TEST(ReadConfig, CountsHaveBounds) {
  for (const std::string key : {"block_count", "attention.head_count", "attention.head_count_kv",
                                "attention.key_length", "attention.value_length"})
    for (const int64_t bad : {int64_t{0}, int64_t{-1}, int64_t{1025}, int64_t{1} << 33})
      expect_refused_value(key, bad);
  for (const std::string key : {"embedding_length", "feed_forward_length", "context_length"})
    for (const int64_t bad : {int64_t{0}, int64_t{-1}, int64_t{1} << 62})
      expect_refused_value(key, bad);
}

TEST(ReadConfig, RequiredKeysAreNamed) {
  for (const std::string key :
       {"block_count", "context_length", "embedding_length", "feed_forward_length",
        "attention.head_count", "attention.layer_norm_rms_epsilon"})
    expect_refused(key, [&](FakeGguf& f) { f.erase("llama." + key); });
}

TEST(ReadConfig, DefaultsOfAbsentKeys) {
  const Config c = config_after([](FakeGguf& f) {
    for (const char* key : {"attention.head_count_kv", "rope.freq_base", "rope.dimension_count"})
      f.erase(std::string("llama.") + key);
  });
  EXPECT_EQ(c.n_kv_heads, 4);
  EXPECT_EQ(c.rope_base, 10000);
  EXPECT_EQ(c.rotary_dims, 8);
}

TEST(ReadConfig, HeadsMustShareEvenly) {
  expect_refused_value("attention.head_count_kv", int64_t{3});
  expect_refused_value("attention.head_count_kv", int64_t{8});
  expect_refused("attention.head_count", [](FakeGguf& f) {
    f.set("llama.attention.head_count", int64_t{6});
    f.set("llama.attention.head_count_kv", int64_t{2});
  });
}

TEST(ReadConfig, PerLayerArraysMustBeWholeAndEqual) {
  for (const std::string key :
       {"attention.head_count", "attention.head_count_kv", "feed_forward_length"}) {
    expect_refused_value(key, integers({2}));
    expect_refused_value(key, integers({2, 2, 2}));
    expect_refused_value(key, integers({}));
    expect_refused_value(key, integers({2, 4}));
    expect_refused_value(key, integers({0, 0}));
    expect_refused_value(key, gguf::Array(std::vector<double>{2, 2}));
    const auto set = [&](FakeGguf& f) { f.set("llama." + key, integers({4, 4})); };
    EXPECT_NO_THROW(config_after(set)) << key;
  }
}

TEST(ReadConfig, RopeMustMakeSense) {
  expect_refused_value("rope.dimension_count", int64_t{7});
  expect_refused_value("rope.dimension_count", int64_t{10});
  expect_refused_value("rope.dimension_count", int64_t{0});
  for (const double bad : {0.0, -1.0, double{NAN}, double{INFINITY}})
    expect_refused_value("rope.freq_base", bad);
  // An odd head dimension is an odd number of rotary dimensions.
  expect_refused("rope.dimension_count", [](FakeGguf& f) {
    f.set("llama.attention.key_length", int64_t{9});
    f.erase("llama.rope.dimension_count");
  });
}

TEST(ReadConfig, EpsilonIsBetweenZeroAndOne) {
  for (const double bad : {0.0, 1.0, -1e-5, double{NAN}, double{INFINITY}})
    expect_refused_value("attention.layer_norm_rms_epsilon", bad);
}

TEST(ReadConfig, TheKvCacheMustNotOverflow) {
  expect_refused("context_length", [](FakeGguf& f) {
    f.set("llama.context_length", int64_t{1} << 40);
    f.set("llama.block_count", int64_t{1024});
    f.set("llama.attention.head_count", int64_t{1024});
    f.set("llama.attention.head_count_kv", int64_t{1024});
    f.set("llama.attention.key_length", int64_t{1024});
    f.set("llama.attention.value_length", int64_t{1024});
  });
}

TEST(ReadConfig, RefusesGraphsThatItDoesNotHave) {
  expect_refused_value("expert_count", int64_t{8});
  expect_refused_value("attn_logit_softcapping", 50.0);
  expect_refused_value("final_logit_softcapping", 30.0);
  FakeGguf qwen(test::tiny_model("qwen2-f32"));
  qwen.set("qwen2.attention.sliding_window", int64_t{2047});
  EXPECT_THROW(read_config(qwen, *find_architecture("qwen2"), {}), Error);
  qwen.set("qwen2.attention.sliding_window", int64_t{2048});  // the whole context
  EXPECT_EQ(read_config(qwen, *find_architecture("qwen2"), {}).window(0), 0);
}

TEST(ReadConfig, EveryLayerOfAMistralHasTheWindow) {
  EXPECT_EQ(config_after([](FakeGguf&) {}).windows, (std::vector<int64_t>{0, 0}));
  const Config c =
      config_after([](FakeGguf& f) { f.set("llama.attention.sliding_window", int64_t{512}); });
  EXPECT_EQ(c.windows, (std::vector<int64_t>{512, 512}));
  EXPECT_FALSE(c.has_own_rope(0));
  for (const int64_t bad : {int64_t{-1}, int64_t{1} << 41})
    expect_refused_value("attention.sliding_window", bad);
}

TEST(ReadConfig, GemmaHasAWindowInFiveLayersOfSix) {
  const auto config = [](const Change& change) {
    FakeGguf file(test::tiny_model("gemma3-f16"));
    change(file);
    return read_config(file, *find_architecture("gemma3"), {});
  };
  const Config c = config([](FakeGguf&) {});
  EXPECT_EQ(c.windows, (std::vector<int64_t>{4, 4, 4, 4, 4, 0}));
  EXPECT_TRUE(c.has_own_rope(4));
  EXPECT_FALSE(c.has_own_rope(5));
  EXPECT_EQ(c.rope_base, 1e6);
  EXPECT_EQ(c.window_rope_base, 1e4);
  EXPECT_EQ(c.activation, Activation::kGelu);
  EXPECT_FLOAT_EQ(c.embedding_scale, std::sqrt(32.f));
  EXPECT_FLOAT_EQ(c.attention_scale, 0.25f);
  const Config other = config([](FakeGguf& f) {
    f.set("gemma3.attention.sliding_window_pattern", int64_t{2});
    f.set("gemma3.rope.freq_base_swa", 500.0);
  });
  EXPECT_EQ(other.windows, (std::vector<int64_t>{4, 0, 4, 0, 4, 0}));
  EXPECT_EQ(other.window_rope_base, 500);
  // 27B: 62 layers, width over heads under the root.
  const Config large = config([](FakeGguf& f) { f.set("gemma3.block_count", int64_t{62}); });
  EXPECT_FLOAT_EQ(large.attention_scale, std::sqrt(2.f / 32));
}

TEST(ReadConfig, RopeScalingOfTheFile) {
  const auto scaled = [](const std::string& type, double factor) {
    return config_after([&](FakeGguf& f) {
      f.set("llama.rope.scaling.type", type);
      f.set("llama.rope.scaling.factor", factor);
    });
  };
  EXPECT_EQ(scaled("none", 4).rope_scaling.type, RopeScalingType::kNone);
  EXPECT_EQ(scaled("none", 4).rope_scaling.factor, 1);
  EXPECT_EQ(scaled("linear", 4).rope_scaling.type, RopeScalingType::kLinear);
  EXPECT_EQ(scaled("linear", 4).rope_scaling.factor, 4);
  EXPECT_EQ(scaled("yarn", 4).rope_scaling.type, RopeScalingType::kYarn);
  EXPECT_EQ(scaled("yarn", 4).rope_scaling.original_context, 2048);
  const Config with_context = config_after([](FakeGguf& f) {
    f.set("llama.rope.scaling.type", std::string("yarn"));
    f.set("llama.rope.scaling.factor", 4.0);
    f.set("llama.rope.scaling.original_context_length", int64_t{512});
  });
  EXPECT_EQ(with_context.rope_scaling.original_context, 512);
  const Config old_style = config_after([](FakeGguf& f) { f.set("llama.rope.scale_linear", 2.0); });
  EXPECT_EQ(old_style.rope_scaling.type, RopeScalingType::kLinear);
  EXPECT_EQ(old_style.rope_scaling.factor, 2);

  expect_refused_value("rope.scaling.type", std::string("longrope"));
  const auto refused = [](const std::string& key, const std::string& type, double factor) {
    expect_refused(key, [&](FakeGguf& f) {
      f.set("llama.rope.scaling.type", type);
      f.set("llama.rope.scaling.factor", factor);
      f.set("llama.rope.scaling.original_context_length", int64_t{0});
    });
  };
  refused("rope.scaling.factor", "linear", 0);
  refused("rope.scaling.factor", "linear", NAN);
  refused("rope.scaling.factor", "yarn", 0.5);
  refused("rope.scaling.original_context_length", "yarn", 4);
  for (const std::string key : {"rope.scaling.attn_factor", "rope.scaling.yarn_beta_fast",
                                "rope.scaling.yarn_beta_slow", "rope.scaling.yarn_attn_factor"})
    expect_refused(key, [&](FakeGguf& f) {
      f.set("llama.rope.scaling.type", std::string("yarn"));
      f.set("llama.rope.scaling.factor", 4.0);
      f.set("llama." + key, 0.7);
    });
}

TEST(ReadConfig, AnOverrideReplacesTheFilesScaling) {
  const auto linear = [](FakeGguf& f) {
    f.set("llama.rope.scaling.type", std::string("linear"));
    f.set("llama.rope.scaling.factor", 2.0);
  };
  EXPECT_EQ(config_after(linear, {.rope_scaling = RopeScaling{}}).rope_scaling.type,
            RopeScalingType::kNone);
  const Config yarn =
      config_after(linear, {.rope_scaling = RopeScaling{RopeScalingType::kYarn, 8, {}}});
  EXPECT_EQ(yarn.rope_scaling.factor, 8);
  EXPECT_EQ(yarn.rope_scaling.original_context, 2048);  // the context the model was made for
}

TEST(ReadConfig, ABadOverrideIsAUsageError) {
  const auto code = [](RopeScalingType type, double factor) {
    try {
      config_after([](FakeGguf&) {}, {.rope_scaling = RopeScaling{type, factor, {}}});
      return Exit::kOk;
    } catch (const Error& e) {
      return e.code();
    }
  };
  EXPECT_EQ(code(RopeScalingType::kLinear, 0), Exit::kUsage);
  EXPECT_EQ(code(RopeScalingType::kLinear, NAN), Exit::kUsage);
  EXPECT_EQ(code(RopeScalingType::kYarn, 0.5), Exit::kUsage);
  EXPECT_EQ(code(RopeScalingType::kYarn, INFINITY), Exit::kUsage);
  EXPECT_EQ(code(RopeScalingType::kLinear, 0.5), Exit::kOk);
  EXPECT_EQ(code(RopeScalingType::kNone, 0), Exit::kOk);
}

}  // namespace
}  // namespace ra::model
