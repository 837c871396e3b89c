// SPDX-License-Identifier: Apache-2.0
#include "apps/bench/dump_rotary.h"

#include <fmt/format.h>

#include <cmath>

#include "lib/core/error.h"
#include "lib/core/json.h"
#include "lib/model/rope.h"

namespace ra::bench_app {

stats::RotaryPairs dump_rotary(const store::DumpReader& dump, int layer) {
  const store::DumpInfo& info = dump.info();
  if (info.rope_style == model::name_of(model::RopeStyle::kNone)) return {};
  const auto refuse = [&](std::string why, std::string hint = "") {
    fail_bad_data({.what = "RoPE not known",
                   .file = dump.path(),
                   .where = "/@rope_scaling",
                   .why = std::move(why),
                   .hint = std::move(hint)});
  };
  const Json text = Json::parse(info.rope_scaling, nullptr, false);
  std::string type;
  std::int64_t dims = 0;
  model::RopeScaling scaling;
  try {
    type = text.at("type").get<std::string>();
    dims = text.at("rotary_dims").get<std::int64_t>();
    scaling.factor = text.at("factor").get<double>();
    if (!text.at("original_context").is_null())
      scaling.original_context = text.at("original_context").get<std::int64_t>();
  } catch (const Json::exception&) {
    refuse(fmt::format("'{}' is not {{type, factor, original_context, rotary_dims}}",
                       info.rope_scaling));
  }
  const auto own = info.layer_attributes.find(layer);
  const bool own_base = own != info.layer_attributes.end() && own->second.rope_base;
  const double base = own_base ? *own->second.rope_base : info.rope_base;
  if (dims < 2 || dims % 2 != 0 || dims > info.head_dim)
    refuse(fmt::format("{} rotary dimensions of {}", dims, info.head_dim));
  if (!(std::isfinite(base) && base > 1)) refuse(fmt::format("base {}", base));
  if (!own_base && type != "none") {
    if (type == "linear")
      scaling.type = model::RopeScalingType::kLinear;
    else if (type == "yarn")
      scaling.type = model::RopeScalingType::kYarn;
    else
      refuse(fmt::format("type {}", type), "--synthetic needs none, linear or yarn");
    const bool yarn = type == "yarn";
    if (!(std::isfinite(scaling.factor) && scaling.factor > 0 && (!yarn || scaling.factor >= 1)))
      refuse(fmt::format("factor {}", scaling.factor));
    if (yarn && scaling.original_context.value_or(0) <= 0)
      refuse("yarn without its original context");
  }
  return {model::rotary_frequencies(base, static_cast<int>(dims), scaling).inv_freq,
          info.rope_style == model::name_of(model::RopeStyle::kInterleaved)};
}

}  // namespace ra::bench_app
