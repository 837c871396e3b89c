// SPDX-License-Identifier: Apache-2.0
// RetrievalAttention's decode step (arXiv 2409.10516, section 3): a static set (sink and recent
// window) and the keys an index retrieves are attended at the same time, and the two partial
// results are merged exactly. Without an index it is a streaming policy (static set only).
// Keys are chosen for each query head, or for the heads of a KV head together: then all of them
// attend to what any of them retrieved (as in NSA, arXiv 2502.11089, section 3.3.2). Its keys and
// values are read once, and a head that errs is helped by the others.
//
// The window is the last positions before a decoded token, and moves with it. Keys that fall out of
// it wait in a buffer whose keys are all scored, and compete with those of the index for the top k.
// Every `flush` of them are appended to the index as a segment of its own; of types that cannot
// grow the buffer does. A continuation that is decoded again, or another one of the same prompt,
// takes the growth back.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "kernels/partial.h"
#include "lib/attention/budget.h"
#include "lib/attention/hit_cut.h"
#include "lib/attention/layer_indexes.h"
#include "lib/attention/layer_tails.h"
#include "lib/core/matrix.h"
#include "lib/index/best_hits.h"
#include "lib/index/registry.h"
#include "lib/model/attention_policy.h"
#include "lib/model/exact_attention.h"

namespace ra::attention {

struct SparseOptions {
  int sink = 128, window = 512;  // positions always attended: the first and the last
  int k = 100;                   // keys retrieved per query head
  bool group = false;  // attended by all heads that search together; needs no cut, no tail
  // With `group`, of an index that is `by_share`: instead of k all keys that would take this share
  // of a head's attention; of fewer cached positions than share_from that falls in proportion, for
  // there more keys cost little. The static set comes first then; no device may attend to it.
  double share = 0;
  std::int64_t share_from = 0;
  bool rest = false;  // with `share`: what the keys not read come to is estimated from their cells
  HitCut cut = {};    // which of them are attended
  int effort = 0;     // 0 = the index's default
  bool tail = false;  // estimate attention to the keys not retrieved (tail_cells.h)
  bool sequential = false;  // the static set first, then the retrieval; for comparison
  int flush = 1024;         // keys of the buffer that become a segment; 0 = never
  model::Compute compute = model::Compute::kAuto;  // of the attention
  std::optional<index::IndexSpec> index;
};

// Attention to the static set by another device, while the CPU retrieves.
class StaticSource {
 public:
  virtual ~StaticSource() = default;
  // Sets about attending to positions [0, sink) and [window, in.pos]; returns at once.
  virtual void start(const model::AttendInput& in, std::int64_t sink, std::int64_t window) = 0;
  // Waits for it: heads[h] = its partial result, in the memory of their acc. Returns the
  // milliseconds that the device was at it.
  virtual double finish(std::span<kernels::Partial> heads) = 0;
};

class SparseAttention : public model::AttentionPolicy {
 public:
  SparseAttention(const AttentionShape& shape, const SparseOptions& options);

  // Indexes positions [sink, size - window) of every layer and KV head of `cache`. Layers with a
  // sliding window are left out. `on_built` is called after each index with the number done. Where
  // that leaves no position to be indexed, attention is exact.
  void build(const model::KvCache& cache, const TrainingOf& training, std::uint64_t seed,
             const std::function<void(int done)>& on_built = {});
  // Between chunks of a prefill: what of build() can be done already (LayerIndexes).
  void build_complete(const model::KvCache& cache, const TrainingOf& training, std::uint64_t seed);

  // Between chunks too: best keys of the training queries so far, where build() asks for them
  // (LayerIndexes::harvest).
  void harvest(const model::KvCache& cache, const QueriesOf& queries);

  // Shares the k of all query heads out by what the prompt's own queries gain (budget.h). Where
  // `queries` has none for a head, every head keeps k.
  void measure_budget(const model::KvCache& cache,
                      const std::function<PlacedQueries(int layer, int head)>& queries,
                      float scale);

  model::AttendStats attend(const model::AttendInput& in, MatView<float> out) override;

  // Who attends to the static set; null: this object, on the CPU. It must outlive the next
  // attend().
  void set_static_source(StaticSource* source) {
    RA_CHECK(source == nullptr || options_.share == 0);
    static_source_ = source;
  }

  const SparseOptions& options() const { return options_; }
  // Whether a measured budget gave every head a k of its own.
  bool k_by_head() const { return !shares_.empty(); }
  // Who takes the exact searches of the build; null: the threads here. It must outlive the last of
  // them.
  void set_row_search(index::RowSearch* search) {
    if (indexes_) indexes_->set_row_search(search);
  }

  int index_count() const { return indexes_ ? indexes_->count() : 0; }  // how many build() makes
  IndexTotals totals() const;                                           // of the build
  std::int64_t indexed_begin() const { return begin_; }
  std::int64_t indexed_end() const { return end_; }  // of the build
  // Ids (positions) attended beside the static set by each query head in the last one-row attend of
  // any indexed layer.
  std::vector<std::vector<std::uint32_t>> last_retrieved() const;

 private:
  using Clock = std::chrono::steady_clock;
  // What one task of a decode step did; summed in task order, so counters repeat exactly.
  struct TaskLog {
    double search_ms = 0, gather_ms = 0, static_ms = 0;
    double begin_ms = 0, end_ms = 0;  // since the step's tasks began
    index::SearchStats stats;
    std::int64_t kv_rows = 0, attended = 0;  // rows read; keys beside the static set
  };
  struct Span {
    double begin = 0, end = 0;  // ms
  };
  static Span span_of(std::span<const TaskLog> logs);
  // Positions of a step: [0, sink) and [window, pos] are static, [sink, buffer) in the index,
  // [buffer, window) in the buffer.
  struct Ranges {
    std::int64_t sink = 0, buffer = 0, window = 0;
  };
  struct BufferScratch {
    Matrix<float> keys;  // of an int8 cache
    std::vector<float> scores, together;
    std::vector<float> held;  // [heads of the part] ln of the static set's mass
    std::vector<std::uint32_t> ids;
    std::vector<std::uint8_t> wanted;  // [keys of the buffer] by any head
    index::CutScratch cut;
  };
  int k_of(int layer, std::size_t head) const {
    return shares_.empty()
               ? options_.k
               : shares_[static_cast<std::size_t>(layer) * static_cast<std::size_t>(shape_.heads) +
                         head];
  }
  bool exact_f32() const { return options_.compute == model::Compute::kF32; }
  Ranges make_ranges(const model::AttendInput& in);
  model::AttendStats decode(const model::AttendInput& in, MatView<float> out);
  index::SearchScratch& scratch_of(std::size_t slot, int part, int thread) {
    return *scratch_[sequential_
                         ? slot * static_cast<std::size_t>(parts_) + static_cast<std::size_t>(part)
                         : static_cast<std::size_t>(thread)];
  }
  void search(const model::AttendInput& in, const Ranges& at, int kv_head, int part, int thread,
              TaskLog& log);
  // Query heads of part `part` of the group of a KV head: from `first` on, `count` of them.
  struct Part {
    int first = 0, count = 0;
  };
  Part part_of(int kv_head, int part) const {
    const int group = shape_.group(), first = group * part / parts_;
    return {kv_head * group + first, group * (part + 1) / parts_ - first};
  }
  void search_group(const model::AttendInput& in, const Ranges& at, int kv_head, int part,
                    int thread, TaskLog& log);
  void add_buffer(const model::AttendInput& in, const Ranges& at, int kv_head, int part,
                  TaskLog& log);
  void attend_group(const model::AttendInput& in, int kv_head, int part, TaskLog& log);
  void score_buffer(const model::AttendInput& in, const Ranges& at, std::size_t head,
                    std::size_t rows, BufferScratch& s, TaskLog& log);
  void scan_buffer(const model::AttendInput& in, const Ranges& at, int kv_head, int part,
                   TaskLog& log);
  void attend_hits(const model::AttendInput& in, const Ranges& at, int kv_head, int part,
                   TaskLog& log);
  void add_tail(const model::AttendInput& in, int kv_head, int part, TaskLog& log);
  void attend_static(const model::AttendInput& in, const Ranges& at, Part heads, TaskLog& log);
  void finish_static(const model::AttendInput& in, const Ranges& at, Clock::time_point start,
                     TaskLog& log);

  AttentionShape shape_;
  SparseOptions options_;
  StaticSource* static_source_ = nullptr;
  model::ExactAttention exact_;             // prefill
  std::vector<std::uint32_t> group_heads_;  // 0, 1, ... of a group
  int parts_ = 1;  // row ranges a group is split into when there are more threads
  std::int64_t begin_ = 0, end_ = 0;
  std::vector<int> shares_;  // [layer, head] keys retrieved, or empty: k
  std::optional<LayerIndexes> indexes_;
  std::optional<LayerTails> tails_;
  std::vector<TailCells::Scratch> tail_scratch_;                // [kv_head, part]
  bool sequential_ = false;                                     // VectorIndex::sequential
  std::vector<std::unique_ptr<index::SearchScratch>> scratch_;  // [index, part] or [thread]
  std::vector<BufferScratch> buffers_;                          // [kv_head, part]
  Matrix<float> static_acc_, found_acc_;                        // [heads, value_dim]
  std::vector<kernels::Partial> static_parts_, found_parts_;    // [heads]
  std::vector<std::span<const index::Hit>> kept_;               // [heads] hits attended
  std::vector<std::vector<index::Hit>> hits_;                   // [heads]
  std::vector<std::vector<std::uint32_t>> positions_;           // [heads]
  std::vector<index::Shortlist> shortlists_;                    // [kv_head, part] of positions
};

}  // namespace ra::attention
