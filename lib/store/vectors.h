// SPDX-License-Identifier: Apache-2.0
// The HDF5 dump of post-RoPE Q, K and V: schema, streaming writer, checked reader. HDF5 is seen
// only in this module. The layout is documented in lib/store/README.md.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "kernels/types.h"
#include "lib/core/matrix.h"

namespace ra::store {

// Names the HDF5 library in use to core's provenance.
void note_libraries();

enum class DType { kF16, kBf16, kF32 };

// What one layer has otherwise than the model as a whole; on disk, attributes of its q.
struct LayerAttributes {
  std::int64_t sliding_window = 0;  // keys a query attends to, its own included; 0 = all before it
  std::optional<double> rope_base;  // of this layer, whose frequencies are then not scaled
  bool operator==(const LayerAttributes&) const = default;
};

// Everything about a dump except the vectors.
struct DumpInfo {
  std::string tool_version, git_commit, command_line, created_utc;
  std::uint64_t seed = 0;
  std::string model_file, model_sha256, architecture, model_name;
  std::int64_t n_layers = 0, n_heads = 0, n_kv_heads = 0, head_dim = 0, value_dim = 0;
  std::string rope_style;  // interleaved, half, none
  double rope_base = 0;
  std::string rope_scaling;  // JSON text
  DType dtype = DType::kF16;
  std::int64_t n_tokens = 0, n_prefill = 0;
  double scale = 0;                                 // score = scale * (q . k)
  std::vector<int> layers;                          // dumped layers, ascending
  std::map<int, LayerAttributes> layer_attributes;  // of those dumped layers that have any
  std::vector<std::int32_t> ids;                    // [n_tokens]
  std::vector<std::int64_t> q_pos;  // positions whose Q is kept, ascending, the same in every layer
  std::vector<std::uint8_t> phase;  // [q_pos]: 0 prompt, 1 decode
  std::vector<float> nll;           // [n_tokens - 1] or empty
  std::vector<float> logits_last;   // [vocab] or empty
};

// ---- writing -----------------------------------------------------------------------------------

struct WriterOptions {
  std::filesystem::path out;
  bool force = false, resume = false;
  bool allow_saturate = false;
  int gzip = 0;  // 0 = none, 1..9
  std::uint64_t part_bytes = 256u << 20, single_limit = 2ull << 30;
  std::int64_t append_rows = 1024;  // rows of one append in the prompt; parts are cut at multiples
  std::string run_key;              // whatever else decides the vectors; must be equal on resume
  std::uint64_t state_bytes = 0;    // what the caller will keep in state_folder()
};

// Streams to OUT.parts/ (one checked HDF5 file per token range) and joins them at the end: memory
// is bounded by part_bytes (or one append, if that is more), a kill costs at most the open part, a
// failure leaves no OUT. Above single_limit OUT refers to the parts, which then stay beside it.
class DumpWriter {
 public:
  // `info` holds everything known before the run: n_tokens, n_prefill, q_pos, layers, scale, ...
  // (ids of generated tokens, nll and logits_last come with finish). Checks that OUT can be created
  // and that there is space for it. Throws Error 73, 74, 77, 65 (resume of another run).
  static std::unique_ptr<DumpWriter> create(const DumpInfo& info, const WriterOptions& options);
  virtual ~DumpWriter() = default;  // without finish: leaves the finished parts for --resume
  // First position that no finished part holds yet (0 for a new run).
  virtual std::int64_t resume_position() const = 0;
  // Where the caller may keep what it needs to go on (OUT.parts/state, not made here); kept and
  // removed with the parts. Hash of everything that decides the vectors.
  virtual std::filesystem::path state_folder() const = 0;
  virtual const std::string& config_sha256() const = 0;
  // True on resume if OUT is already there, whole and of this run: nothing is left to do.
  virtual bool complete() const = 0;
  // Rows pos.. of one layer: q [tokens, heads * head_dim], k, v [tokens, kv_heads * dim]. Positions
  // ascend per layer; rows before resume_position() are ignored. Q rows not in q_pos are dropped.
  virtual void append(int layer, std::int64_t pos, MatView<const float> q, MatView<const float> k,
                      MatView<const float> v) = 0;
  // Closes the open part early, at the last position that every layer has, so that a resume goes on
  // from there. For a clean end on a signal; nothing may be appended afterwards.
  virtual void suspend() = 0;
  // `ids` [n_tokens] all run; verifies, joins and renames into place.
  virtual void finish(const std::vector<std::int32_t>& ids, const std::vector<float>& nll,
                      const std::vector<float>& logits_last) = 0;
};

// Upper bound of the finished dump, for --estimate and the free-space check; logits_last counts if
// it is there.
std::uint64_t dump_bytes(const DumpInfo& info);
// Most memory a writer takes for this dump.
std::uint64_t writer_memory(const DumpInfo& info, const WriterOptions& options);

// ---- reading -----------------------------------------------------------------------------------

class DumpReader {
 public:
  // Refuses (65) foreign, incomplete or malformed files, vlen data, external storage, unknown
  // filters; 66 if there is no such file. Checks the parts of a dump kept as parts against its
  // manifest.
  static std::unique_ptr<DumpReader> open(const std::filesystem::path& file);
  virtual ~DumpReader() = default;
  virtual const DumpInfo& info() const = 0;
  virtual const std::filesystem::path& path() const = 0;
  virtual std::string sha256() const = 0;
  virtual bool has_layer(int layer) const = 0;
  // Throws Error{kBadData} naming the layer if it is not there or if one of its queries has a
  // window that leaves out keys: nothing here models that. read_* check it too.
  virtual void check_layer(int layer) const = 0;
  // Positions [first, first + count) of one head, widened to f32. A value that is not finite is
  // Error{kBadData}.
  virtual Matrix<float> read_k(int layer, int kv_head, std::int64_t first,
                               std::int64_t count) const = 0;
  virtual Matrix<float> read_v(int layer, int kv_head, std::int64_t first,
                               std::int64_t count) const = 0;
  // Rows [first, first + count) of q_pos (not positions).
  virtual Matrix<float> read_q(int layer, int head, std::int64_t first,
                               std::int64_t count) const = 0;
};

// An ann-benchmarks style file: train [n,d], test [nq,d], optional learn [m,d], neighbors [nq,k].
struct AnnFile {
  Matrix<float> train, test, learn;
  std::vector<std::int32_t> neighbors;  // [nq, n_neighbors] or empty
  std::size_t n_neighbors = 0;
};
bool is_ann_file(const std::filesystem::path& file);  // no dump attributes, but train and test
AnnFile read_ann_file(const std::filesystem::path& file);

struct AnnExport {
  MatView<const float> train, test, learn;  // keys and queries as they are
  std::vector<std::int32_t> neighbors;      // [nq, k] by inner product
  std::vector<float> distances;             // [nq, k] inner products
  std::size_t k = 0;
};
// Written with the lift to the sphere: keys get sqrt(M^2 - |k|^2), queries 0, distance "euclidean".
void write_ann_file(const std::filesystem::path& file, const AnnExport& data, bool force);

}  // namespace ra::store
