// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <list>
#include <optional>
#include <utility>

#include "lib/core/error.h"
#include "lib/core/hash.h"
#include "lib/core/output_file.h"
#include "lib/store/dump_reader.h"
#include "lib/store/join.h"
#include "lib/store/manifest.h"
#include "lib/store/part.h"
#include "lib/store/vectors.h"

namespace ra::store {
namespace fs = std::filesystem;
namespace {

void check_info(const DumpInfo& info) {
  RA_CHECK(!info.layers.empty() && !info.q_pos.empty() && info.n_tokens > 0);
  RA_CHECK(info.n_prefill > 0 && info.n_prefill <= info.n_tokens && info.scale > 0);
  RA_CHECK(info.phase.size() == info.q_pos.size());
  RA_CHECK(std::is_sorted(info.layers.begin(), info.layers.end(), std::less_equal<>()));
  RA_CHECK(std::is_sorted(info.q_pos.begin(), info.q_pos.end(), std::less_equal<>()));
  RA_CHECK(info.layers.front() >= 0 && info.layers.back() < info.n_layers);
  RA_CHECK(info.q_pos.front() >= 0 && info.q_pos.back() < info.n_tokens);
}

fs::path state_folder_of(const fs::path& parts) { return parts / "state"; }

// Removes what this program puts into a parts folder, except `keep` and, with them, the state of
// the run; then the folder, if empty.
void clear_folder(const fs::path& folder, const std::vector<PartEntry>& keep) {
  std::error_code ignored;
  if (keep.empty()) fs::remove_all(state_folder_of(folder), ignored);
  for (const auto& file : fs::directory_iterator(folder, ignored)) {
    const std::string name = file.path().filename().string();
    const std::string stem = name.substr(0, name.find(".partial."));
    const bool kept =
        std::any_of(keep.begin(), keep.end(), [&](const PartEntry& e) { return e.part == name; });
    if (!kept && (is_part_name(stem) || (name == "manifest.jsonl" && keep.empty())))
      fs::remove(file.path(), ignored);
  }
  if (keep.empty()) fs::remove(folder, ignored);
}

class Writer final : public DumpWriter {
 public:
  Writer(const DumpInfo& info, const WriterOptions& options)
      : info_(info),
        options_(options),
        folder_(parts_folder(options.out)),
        config_((check_info(info), store::config_sha256(info, options))) {
    check_output(options_.out, options_.force || options_.resume);
    lock_.emplace(options_.out);
    remove_stale_partials(options_.out);
    if (look_at_old_output()) return;
    check_output(options_.out, options_.force);
    if (options_.resume) {
      load_parts();
    } else {
      std::error_code ignored;
      if (fs::exists(manifest_file(folder_), ignored) && !options_.force)
        fail(Exit::kCannotCreate, {.what = "cannot create",
                                   .file = options_.out.string(),
                                   .where = folder_.string(),
                                   .why = "holds the parts of an interrupted run",
                                   .hint = "--resume goes on, --force starts again"});
      grid_ = choose_grid(info_, options_);
    }
    clear_folder(folder_, entries_);
    check_space();
    make_folder(folder_);
    make_groups();
  }

  // A run that ended before its first part has nothing to resume: the folder goes if it is empty.
  ~Writer() override { (void)::rmdir(folder_.c_str()); }
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  bool complete() const override { return complete_; }
  fs::path state_folder() const override { return state_folder_of(folder_); }
  const std::string& config_sha256() const override { return config_; }

  std::int64_t resume_position() const override {
    std::int64_t position = info_.n_tokens;
    for (const Group& group : groups_) position = std::min(position, group.done);
    return position;
  }

  void append(int layer, std::int64_t pos, MatView<const float> q, MatView<const float> k,
              MatView<const float> v) override {
    RA_CHECK(!suspended_);
    Group* group = group_of(layer);
    if (group == nullptr || complete_) return;
    const auto end = pos + static_cast<std::int64_t>(k.rows);
    while (std::optional<std::int64_t> next = next_position(*group, layer, end)) {
      OpenPart& part = part_at(*group, *next);
      RA_CHECK(*next >= pos);  // no gap in a layer's rows
      const auto skip = static_cast<std::size_t>(*next - pos);
      const auto n = static_cast<std::size_t>(std::min(end, part.range().token_end) - *next);
      part.append(layer, *next, q.row_range(skip, n), k.row_range(skip, n), v.row_range(skip, n));
    }
    while (!group->open.empty() &&
           group->open.front().end_of_all() == group->open.front().range().token_end)
      close_front(*group, group->open.front().range().token_end);
  }

  void suspend() override {
    suspended_ = true;
    for (Group& group : groups_) {
      if (group.open.empty()) continue;
      const std::int64_t end = group.open.front().end_of_all();
      if (end > group.open.front().range().token_begin) close_front(group, end);
      group.open.clear();
    }
  }

  void finish(const std::vector<std::int32_t>& ids, const std::vector<float>& nll,
              const std::vector<float>& logits_last) override {
    RA_CHECK(!suspended_ && resume_position() == info_.n_tokens);
    if (complete_) return;
    RA_CHECK(std::ssize(ids) == info_.n_tokens);
    RA_CHECK(std::equal(info_.ids.begin(), info_.ids.end(), ids.begin()));
    RA_CHECK(nll.empty() || nll.size() + 1 == ids.size());
    DumpInfo whole = info_;
    whole.ids = ids;
    whole.nll = nll;
    whole.logits_last = logits_last;
    join_parts(whole, options_, entries_, config_);
    complete_ = true;
    std::error_code ignored;
    if (single())
      clear_folder(folder_, {});
    else
      fs::remove_all(state_folder(), ignored);
  }

 private:
  struct Group {  // layers that share part files
    std::vector<int> layers;
    std::int64_t done = 0;       // positions in finished parts
    std::list<OpenPart> open{};  // one, unless a caller appends past a cut
  };

  bool single() const { return dump_bytes(info_) <= options_.single_limit; }

  // True if the output is already there and of this run. Refuses to replace a dump that needs the
  // folder this run would write to.
  bool look_at_old_output() {
    if (!fs::exists(fs::symlink_status(options_.out))) return false;
    DumpParts parts;
    try {
      parts = read_parts_info(options_.out);
    } catch (const Error&) {
      return false;  // no dump; whether it may be replaced is decided by --force
    }
    if (options_.resume && parts.config_sha256 == config_) {
      complete_ = true;
      if (parts.folder.empty()) clear_folder(folder_, {});
      return true;
    }
    if (!parts.folder.empty() && parts.folder == folder_.filename())
      fail(Exit::kCannotCreate, {.what = "cannot create",
                                 .file = options_.out.string(),
                                 .where = "",
                                 .why = "is a dump that is kept in " + folder_.string(),
                                 .hint = "remove both first, or choose another name"});
    return false;
  }

  void load_parts() {
    entries_ = read_manifest(folder_);
    for (const PartEntry& e : entries_) {
      const fs::path file = folder_ / e.part;
      const auto refuse = [&](std::string why, std::string hint) {
        fail_bad_data({.what = "cannot resume",
                       .file = file.string(),
                       .where = "",
                       .why = std::move(why),
                       .hint = std::move(hint)});
      };
      if (e.config_sha256 != config_)
        refuse("belongs to a run with another model, prompt or options",
               "repeat the options of that run, or --force to start again");
      std::error_code error;
      if (fs::file_size(file, error) != e.bytes || error || sha256_file(file) != e.sha256)
        refuse("is not the file that the manifest lists", "--force without --resume starts again");
    }
    grid_ = entries_.empty() ? choose_grid(info_, options_) : entries_.front().grid;
  }

  void check_space() const {
    if (options_.gzip > 0) return;  // the size is not known beforehand
    std::uint64_t need = dump_bytes(info_) * (single() ? 2 : 1), have = 0;
    for (const PartEntry& e : entries_) have += e.bytes;
    need += options_.state_bytes;
    std::error_code error;
    for (const auto& file : fs::directory_iterator(state_folder(), error))
      have += file.file_size(error);
    check_free_space(options_.out, need - std::min(need, have));
  }

  void make_groups() {
    for (std::size_t i = 0; i < info_.layers.size(); i += static_cast<std::size_t>(grid_.layers)) {
      const std::size_t end =
          std::min(i + static_cast<std::size_t>(grid_.layers), info_.layers.size());
      Group group;
      group.layers.assign(info_.layers.begin() + static_cast<std::ptrdiff_t>(i),
                          info_.layers.begin() + static_cast<std::ptrdiff_t>(end));
      groups_.push_back(std::move(group));
    }
    for (const PartEntry& e : entries_) {
      Group* group = group_of(e.range.layer_begin);
      if (group == nullptr || group->layers.front() != e.range.layer_begin ||
          group->layers.back() + 1 != e.range.layer_end || group->done != e.range.token_begin ||
          e.range.token_end > info_.n_tokens)
        fail_bad_data({.what = "cannot resume",
                       .file = (folder_ / e.part).string(),
                       .where = "",
                       .why = "does not continue the parts before it",
                       .hint = "--force without --resume starts again"});
      group->done = e.range.token_end;
    }
  }

  Group* group_of(int layer) {
    for (Group& group : groups_)
      if (std::binary_search(group.layers.begin(), group.layers.end(), layer)) return &group;
    return nullptr;
  }

  // The first position before `end` that this layer still lacks.
  static std::optional<std::int64_t> next_position(const Group& group, int layer,
                                                   std::int64_t end) {
    std::int64_t next = group.done;
    for (const OpenPart& part : group.open) {
      next = part.end_of(layer);
      if (next < part.range().token_end) break;
    }
    return next < end ? std::optional(next) : std::nullopt;
  }

  OpenPart& part_at(Group& group, std::int64_t pos) {
    for (OpenPart& part : group.open)
      if (pos < part.range().token_end) return part;
    RA_CHECK(pos < info_.n_tokens);
    const Range range{group.layers.front(), group.layers.back() + 1, pos,
                      grid_.next_cut(info_, pos)};
    return group.open.emplace_back(info_, options_, group.layers, range);
  }

  void close_front(Group& group, std::int64_t end) {
    PartEntry entry = group.open.front().write(folder_, end, config_);
    entry.grid = grid_;
    append_line(manifest_file(folder_), to_line(entry));
    entries_.push_back(std::move(entry));
    group.done = end;
    group.open.pop_front();
  }

  const DumpInfo info_;
  const WriterOptions options_;
  const fs::path folder_;
  const std::string config_;
  std::optional<OutputLock> lock_;
  Grid grid_;
  std::vector<PartEntry> entries_;
  std::vector<Group> groups_;
  bool complete_ = false, suspended_ = false;
};

}  // namespace

std::unique_ptr<DumpWriter> DumpWriter::create(const DumpInfo& info, const WriterOptions& options) {
  return std::make_unique<Writer>(info, options);
}

}  // namespace ra::store
