// SPDX-License-Identifier: Apache-2.0
// The records an interrupted run left in its output, for --resume.
#pragma once

#include <string>
#include <unordered_map>

#include "apps/recall/options.h"
#include "lib/core/json.h"

namespace ra::recall {

class Earlier {
 public:
  // Reads o.out with --resume; holds nothing without. Throws Error as read_finished_records, and
  // Error{kUsage} for --resume without a file.
  explicit Earlier(const Options& o);

  // The record of this kind and config, nullptr if there is none (or it failed).
  const Json* find(const std::string& kind, const Json& config) const;

 private:
  std::unordered_map<std::string, Json> records_;  // by kind and config
};

}  // namespace ra::recall
