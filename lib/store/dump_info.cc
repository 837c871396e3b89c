// SPDX-License-Identifier: Apache-2.0
#include "lib/store/dump_info.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "lib/core/error.h"
#include "lib/store/attributes.h"
#include "lib/store/dataset.h"
#include "lib/store/layout.h"

namespace ra::store {
namespace {

constexpr std::int64_t kMaxTokens = std::int64_t{1} << 31;
constexpr std::int64_t kMaxCount = 1024;  // layers, heads, head width

DType dtype_of(const std::filesystem::path& file, const std::string& name) {
  for (const DType type : {DType::kF16, DType::kBf16, DType::kF32})
    if (name == name_of(type)) return type;
  fail_bad_data({.what = "bad attribute",
                 .file = file.string(),
                 .where = "/@dtype",
                 .why = fmt::format("is '{}', must be f16, bf16 or f32", name)});
}

// A whole list of a known or (n < 0) any length.
template <class T>
std::vector<T> read_list(const std::filesystem::path& file, hid_t h5, const std::string& path,
                         hid_t type, std::int64_t n, std::int64_t most) {
  DatasetInfo found = open_dataset(file, h5, path, 1);
  const Hid stored(H5Dget_type(found.id.get()), H5Tclose);
  if (!stored || H5Tequal(stored.get(), type) <= 0)
    refuse_dataset(file, path, "is not of the documented type");
  const hsize_t length = found.dims[0];
  if ((n >= 0 && length != static_cast<hsize_t>(n)) || length > static_cast<hsize_t>(most))
    refuse_dataset(file, path,
                   n >= 0 ? fmt::format("has length {}, must be {}", length, n)
                          : fmt::format("has length {}, at most {}", length, most));
  std::vector<T> values(length);
  if (H5Dread(found.id.get(), type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()) < 0)
    refuse_dataset(file, path, hdf5_reason(), "damaged file?");
  return values;
}

void check_positions(const std::filesystem::path& file, const DumpInfo& info) {
  const std::string path = layer_path(info, info.layers.front()) + "/q_pos";
  for (std::size_t i = 0; i < info.q_pos.size(); ++i) {
    const std::int64_t pos = info.q_pos[i];
    if (pos < 0 || pos >= info.n_tokens || (i > 0 && pos <= info.q_pos[i - 1]))
      refuse_dataset(
          file, path,
          fmt::format("element {} is {}: not ascending in 0..{}", i, pos, info.n_tokens - 1));
    if (info.phase[i] != (pos < info.n_prefill ? 0 : 1))
      refuse_dataset(file, "/phase",
                     fmt::format("element {} is {} for position {} of {} prompt "
                                 "tokens",
                                 i, info.phase[i], pos, info.n_prefill));
  }
}

void read_layers(const std::filesystem::path& file, hid_t h5, DumpInfo& info) {
  for (int layer = 0; layer < info.n_layers; ++layer) {
    if (!has_link(file, h5, layer_path(info, layer))) continue;
    info.layers.push_back(layer);
    auto q_pos = read_list<std::int64_t>(file, h5, layer_path(info, layer) + "/q_pos",
                                         H5T_STD_I64LE, -1, info.n_tokens);
    if (info.layers.size() == 1)
      info.q_pos = std::move(q_pos);
    else if (q_pos != info.q_pos)
      refuse_dataset(file, layer_path(info, layer) + "/q_pos", "differs between layers");
  }
  if (info.layers.empty()) refuse_dataset(file, "/layers", "holds no layer");
}

}  // namespace

void write_attributes(const Hdf5Output& out, const DumpInfo& info, const DumpParts& parts) {
  const AttributeWriter a(out, out.id());
  a.text("format", kDumpFormat);
  a.i64("format_version", kFormatVersion);
  a.text("tool_version", info.tool_version);
  a.text("git_commit", info.git_commit);
  a.text("command_line", std::string_view(info.command_line).substr(0, 16384));
  a.text("created_utc", info.created_utc);
  a.u64("seed", info.seed);
  a.text("model_file", info.model_file);
  a.text("model_sha256", info.model_sha256);
  a.text("architecture", info.architecture);
  a.text("model_name", info.model_name);
  a.i64("n_layers", info.n_layers);
  a.i64("n_heads", info.n_heads);
  a.i64("n_kv_heads", info.n_kv_heads);
  a.i64("head_dim", info.head_dim);
  a.i64("value_dim", info.value_dim);
  a.text("rope_style", info.rope_style);
  a.f64("rope_base", info.rope_base);
  a.text("rope_scaling", info.rope_scaling);
  a.text("dtype", name_of(info.dtype));
  a.i64("n_tokens", info.n_tokens);
  a.i64("n_prefill", info.n_prefill);
  a.text("config_sha256", parts.config_sha256);
  if (!parts.folder.empty()) {
    a.text("parts_folder", parts.folder);
    a.text("parts_manifest_sha256", parts.manifest_sha256);
  }
}

void write_lists(const Hdf5Output& out, const DumpInfo& info) {
  create_group(out, "/tokens");
  write_list(out, "/tokens/ids", H5T_STD_I32LE, info.ids.data(), info.ids.size(), 4);
  write_list(out, "/phase", H5T_STD_U8LE, info.phase.data(), info.phase.size(), 1);
  create_group(out, "/layers");
  for (const int layer : info.layers) {
    create_group(out, layer_path(info, layer));
    write_list(out, layer_path(info, layer) + "/q_pos", H5T_STD_I64LE, info.q_pos.data(),
               info.q_pos.size(), 8);
  }
  if (info.nll.empty() && info.logits_last.empty()) return;
  create_group(out, "/logits");
  if (!info.nll.empty())
    write_list(out, "/logits/nll", H5T_IEEE_F32LE, info.nll.data(), info.nll.size(), 4);
  if (!info.logits_last.empty())
    write_list(out, "/logits/last", H5T_IEEE_F32LE, info.logits_last.data(),
               info.logits_last.size(), 4);
}

void write_query_attributes(const Hdf5Output& out, hid_t q, const DumpInfo& info, int layer) {
  const AttributeWriter a(out, q);
  a.f64("scale", info.scale);
  a.u8("post_rope", 1);
  const auto found = info.layer_attributes.find(layer);
  if (found == info.layer_attributes.end()) return;
  if (found->second.sliding_window > 0) a.i64("sliding_window", found->second.sliding_window);
  if (found->second.rope_base) a.f64("rope_base", *found->second.rope_base);
}

void write_complete(const Hdf5Output& out) { AttributeWriter(out, out.id()).u8("complete", 1); }

void read_info(const std::filesystem::path& file, hid_t h5, DumpInfo& info, DumpParts& parts) {
  const AttributeReader a(file, "/", h5);
  const auto refuse = [&](const char* name, std::string why, std::string hint = "") {
    fail_bad_data({.what = "bad attribute",
                   .file = file.string(),
                   .where = fmt::format("/@{}", name),
                   .why = std::move(why),
                   .hint = std::move(hint)});
  };
  if (!a.has("format")) refuse("format", "is missing", "not written by ra-dump?");
  if (const std::string format = a.text("format"); format != kDumpFormat)
    refuse("format", fmt::format("is '{}', must be '{}'", format, kDumpFormat),
           format == kPartFormat ? "name the dump, not one of its parts" : "");
  if (const std::int64_t version = a.i64("format_version"); version != kFormatVersion)
    refuse("format_version", fmt::format("is {}, this program reads {}", version, kFormatVersion));
  if (!a.has("complete") || a.u8("complete") != 1)
    refuse("complete", "is not 1: the dump was never finished");
  info.tool_version = a.text("tool_version");
  info.git_commit = a.text("git_commit");
  info.command_line = a.text("command_line");
  info.created_utc = a.text("created_utc");
  info.seed = a.u64("seed");
  info.model_file = a.text("model_file");
  info.model_sha256 = a.text("model_sha256");
  info.architecture = a.text("architecture");
  info.model_name = a.text("model_name");
  info.n_layers = a.i64("n_layers", 1, kMaxCount);
  info.n_heads = a.i64("n_heads", 1, kMaxCount);
  info.n_kv_heads = a.i64("n_kv_heads", 1, info.n_heads);
  if (info.n_heads % info.n_kv_heads != 0)
    refuse("n_heads",
           fmt::format("{} is no multiple of n_kv_heads {}", info.n_heads, info.n_kv_heads));
  info.head_dim = a.i64("head_dim", 1, kMaxCount);
  info.value_dim = a.i64("value_dim", 1, kMaxCount);
  info.rope_style = a.text("rope_style");
  if (info.rope_style != "interleaved" && info.rope_style != "half" && info.rope_style != "none")
    refuse("rope_style", fmt::format("is '{}'", info.rope_style), "interleaved, half or none");
  info.rope_base = a.f64("rope_base");
  if (!std::isfinite(info.rope_base)) refuse("rope_base", "is not finite");
  info.rope_scaling = a.text("rope_scaling");
  info.dtype = dtype_of(file, a.text("dtype"));
  info.n_tokens = a.i64("n_tokens", 1, kMaxTokens);
  info.n_prefill = a.i64("n_prefill", 1, info.n_tokens);
  if (a.has("config_sha256")) parts.config_sha256 = a.text("config_sha256");
  if (a.has("parts_folder")) {
    parts.folder = a.text("parts_folder");
    if (!parts.folder.ends_with(".parts") || parts.folder.find('/') != std::string::npos)
      refuse("parts_folder", fmt::format("is '{}'", parts.folder), "a folder beside the dump");
    parts.manifest_sha256 = a.text("parts_manifest_sha256");
  }
  info.ids =
      read_list<std::int32_t>(file, h5, "/tokens/ids", H5T_STD_I32LE, info.n_tokens, kMaxTokens);
  read_layers(file, h5, info);
  info.phase =
      read_list<std::uint8_t>(file, h5, "/phase", H5T_STD_U8LE, std::ssize(info.q_pos), kMaxTokens);
  check_positions(file, info);
  if (has_link(file, h5, "/logits/nll"))
    info.nll =
        read_list<float>(file, h5, "/logits/nll", H5T_IEEE_F32LE, info.n_tokens - 1, kMaxTokens);
  if (has_link(file, h5, "/logits/last"))
    info.logits_last =
        read_list<float>(file, h5, "/logits/last", H5T_IEEE_F32LE, -1, std::int64_t{1} << 24);
}

}  // namespace ra::store
