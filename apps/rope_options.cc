// SPDX-License-Identifier: Apache-2.0
#include "apps/rope_options.h"

#include "lib/core/error.h"

namespace ra::cli {

void bind(CLI::App& app, RopeOptions& o, const std::string& group) {
  auto* scaling = app.add_option("--rope-scaling", o.scaling,
                                 "Override the model and its context length: none, linear or yarn")
                      ->check(CLI::IsMember({"none", "linear", "yarn"}))
                      ->group(group);
  app.add_option("--rope-scale", o.scale, "Factor of --rope-scaling")
      ->needs(scaling)
      ->check(CLI::PositiveNumber)
      ->group(group);
}

void check(const RopeOptions& o) {
  if (o.extends() && o.scale <= 0)
    fail_usage("--rope-scale", "--rope-scaling " + o.scaling + " needs a factor");
}

std::optional<model::RopeScaling> override_of(const RopeOptions& o) {
  if (o.scaling.empty()) return std::nullopt;
  model::RopeScaling scaling;
  scaling.type = o.scaling == "linear" ? model::RopeScalingType::kLinear
                 : o.scaling == "yarn" ? model::RopeScalingType::kYarn
                                       : model::RopeScalingType::kNone;
  if (o.extends()) scaling.factor = o.scale;
  return scaling;
}

}  // namespace ra::cli
