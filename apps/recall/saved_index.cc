// SPDX-License-Identifier: Apache-2.0
#include "apps/recall/saved_index.h"

#include <fmt/format.h>

#include <cstring>
#include <string_view>
#include <utility>

#include "lib/core/error.h"
#include "lib/core/hash.h"
#include "lib/index/index_state.h"
#include "lib/model/tensor_file.h"

namespace ra::recall {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kMagic = "RAINDEX1";

std::string keys_sha256(MatView<const float> keys) {
  Sha256 hash;
  for (std::size_t i = 0; i < keys.rows; ++i)
    hash.update(std::as_bytes(std::span(keys.row(i), keys.cols)));
  return hash.hex();
}

// What the file must agree on with the index that is asked for.
Json identity(const IndexUnit& unit, const index::BuildInput& in) {
  Json j;
  for (const char* field : {"index", "layer", "kv_head", "head", "n_train"})
    j[field] = unit.config[field];
  if (!unit.head) j["head"] = -1;
  j["seed"] = std::to_string(in.seed);  // all 64 bits
  j["n_keys"] = in.keys.rows;
  j["dim"] = in.keys.cols;
  j["keys_sha256"] = keys_sha256(in.keys);
  return j;
}

// The costs of a build that its index cannot tell by itself.
struct Cost {
  const char* name;
  double index::BuildStats::*field;
};
constexpr Cost kCosts[] = {{"build_ms", &index::BuildStats::build_ms},
                           {"knn_ms", &index::BuildStats::knn_ms},
                           {"project_ms", &index::BuildStats::project_ms},
                           {"connect_ms", &index::BuildStats::connect_ms},
                           {"cpu_s", &index::BuildStats::cpu_s}};

}  // namespace

void check_savable(const std::vector<index::IndexSpec>& specs, const std::string& option) {
  std::string known;
  for (const index::IndexType& type : index::index_types())
    if (type.restore != nullptr) known += fmt::format("{}{}", known.empty() ? "" : ", ", type.name);
  for (const index::IndexSpec& spec : specs)
    if (spec.type->restore == nullptr)
      fail_usage(option, fmt::format("'{}' cannot be saved", spec.type->name), "can be: " + known);
}

fs::path saved_index_name(const IndexUnit& unit) {
  const std::string text = unit.config["index"].get<std::string>();
  return fmt::format("layer{:03}_kv{:02}{}_{}_{}.raindex", unit.config["layer"].get<int>(),
                     unit.config["kv_head"].get<int>(),
                     unit.head ? fmt::format("_head{:03}", *unit.head) : "", unit.spec->spec.name,
                     sha256_hex(text).substr(0, 8));
}

void save_index(const fs::path& folder, bool force, const IndexUnit& unit,
                const index::BuildInput& in, const index::VectorIndex& built) {
  index::IndexState state;
  built.save(state);
  Json header = identity(unit, in);
  for (const Cost& cost : kCosts) header[cost.name] = built.build_stats().*cost.field;
  header["distances"] = built.build_stats().distances;
  std::vector<model::TensorSource> tensors;
  for (const auto& [name, values] : state.arrays)
    tensors.push_back({.layer = 0, .name = name, .pieces = {std::as_bytes(std::span(values))}});
  model::write_tensor_file(folder / saved_index_name(unit), force, kMagic, std::move(header),
                           tensors);
}

std::unique_ptr<index::VectorIndex> load_index(const fs::path& folder, const IndexUnit& unit,
                                               const index::BuildInput& in) {
  const fs::path path = folder / saved_index_name(unit);
  const model::TensorFile file(path, kMagic, "saved index");
  const Json wanted = identity(unit, in);
  for (const auto& [field, want] : wanted.items()) {
    const Json got = want.is_string() ? Json(file.text(field.c_str()))
                                      : Json(file.integer(field.c_str(), -1, INT64_MAX));
    if (got != want)
      file.refuse(field, fmt::format("{} in the file, {} here", got.dump(), want.dump()),
                  "build it again with --save");
  }
  index::IndexState state;
  for (const Cost& cost : kCosts) state.stats.*cost.field = file.number(cost.name);
  state.stats.distances = file.integer("distances", 0, INT64_MAX);
  for (const model::TensorFile::Tensor& t : file.tensors()) {
    auto& values = state.arrays[t.name];
    if (t.bytes.size() % sizeof(values[0]) != 0)
      file.refuse(t.name, fmt::format("{} bytes, not of u32", t.bytes.size()));
    values.resize(t.bytes.size() / sizeof(values[0]));
    std::memcpy(values.data(), t.bytes.data(), t.bytes.size());
  }
  try {
    return index::restore_index(*unit.spec, in, state);
  } catch (const Error& e) {
    ErrorText text = e.text();  // the index does not know the file
    text.file = path.string();
    fail(e.code(), std::move(text));
  }
}

}  // namespace ra::recall
