// SPDX-License-Identifier: Apache-2.0
#include "apps/recall/earlier.h"

#include <utility>

#include "lib/bench/results.h"
#include "lib/core/error.h"

namespace ra::recall {
namespace {

std::string key_of(const std::string& kind, const Json& config) {
  return kind + config.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

Earlier::Earlier(const Options& o) {
  if (!o.resume) return;
  if (o.out.empty() || o.out == "-")
    fail_usage("--resume", "goes on from the records in a file", "name it with -o");
  for (Json& r : bench::read_finished_records(o.out))
    if (r.value("status", "") == "ok" && r.contains("config") && r.contains("metrics")) {
      std::string key = key_of(r.value("kind", ""), r["config"]);
      records_.insert_or_assign(std::move(key), std::move(r));
    }
}

const Json* Earlier::find(const std::string& kind, const Json& config) const {
  const auto at = records_.find(key_of(kind, config));
  return at == records_.end() ? nullptr : &at->second;
}

}  // namespace ra::recall
