// SPDX-License-Identifier: Apache-2.0
// --rope-scaling and --rope-scale: a context beyond the model's own.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>

#include "lib/model/config.h"

namespace ra::cli {

struct RopeOptions {
  std::string scaling;
  double scale = 0;
  // The model's context length is no limit then.
  bool extends() const { return !scaling.empty() && scaling != "none"; }
};

void bind(CLI::App& app, RopeOptions& options, const std::string& group);
void check(const RopeOptions& options);  // throws Error{kUsage}

// What replaces the model's own scaling; nothing = keep it.
std::optional<model::RopeScaling> override_of(const RopeOptions& options);

}  // namespace ra::cli
