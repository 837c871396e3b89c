// SPDX-License-Identifier: Apache-2.0
#include "lib/gguf/reader.h"

#include <fmt/format.h>

#include <deque>
#include <mutex>
#include <unordered_map>

#include "lib/core/error.h"
#include "lib/core/hash.h"
#include "lib/core/mapped_file.h"
#include "lib/gguf/content_check.h"
#include "lib/gguf/cursor.h"
#include "lib/gguf/header.h"
#include "lib/gguf/metadata.h"
#include "lib/gguf/split.h"
#include "lib/gguf/tensor_table.h"

namespace ra::gguf {
namespace {

// One file as it stands in the bytes.
struct Part {
  std::string name;
  std::span<const std::byte> bytes;
  std::uint32_t version = 0;
  Metadata metadata;
  std::vector<Tensor> tensors;
  SplitKeys split;
};

Part parse(std::span<const std::byte> bytes, std::string name, std::vector<std::string>& warnings) {
  Cursor in(bytes, name);
  const Header header = read_header(in);
  Part part;
  part.name = std::move(name);
  part.bytes = bytes;
  part.version = header.version;
  part.metadata = Metadata::read(in, header.keys);
  part.tensors = read_tensors(in, header.tensors, part.metadata.alignment(), warnings);
  part.split = read_split_keys(part.metadata, part.name);
  return part;
}

[[noreturn]] void fail_split(const std::string& file, std::string where, std::string why,
                             std::string hint = "") {
  fail_bad_data({.what = "bad split",
                 .file = file,
                 .where = std::move(where),
                 .why = std::move(why),
                 .hint = std::move(hint)});
}

class ModelFile final : public File {
 public:
  explicit ModelFile(std::filesystem::path path) : path_(std::move(path)) {}

  void load(const OpenOptions& options) {
    const MapMode mode = options.mode == LoadMode::kMmap ? MapMode::kMap : MapMode::kRead;
    Part first = parse(files_.emplace_back(path_, mode).bytes(), path_.string(), warnings_);
    if (first.split.count == 1)
      adopt(std::move(first), options);
    else
      load_parts(std::move(first), mode, options);
    index_tensors();
  }

  void load(std::span<const std::byte> bytes, const OpenOptions& options) {
    Part part = parse(bytes, path_.string(), warnings_);
    if (part.split.count != 1)
      fail_split(part.name, "split.count", "a split model needs its files by name");
    adopt(std::move(part), options);
    index_tensors();
  }

  const std::filesystem::path& path() const override { return path_; }
  std::uint32_t version() const override { return version_; }
  const Value* find(std::string_view key) const override { return metadata_.find(key); }
  std::span<const std::pair<std::string, Value>> metadata() const override {
    return metadata_.entries();
  }
  std::span<const Tensor> tensors() const override { return tensors_; }
  std::span<const std::string> warnings() const override { return warnings_; }

  const Tensor* tensor(std::string_view name) const override {
    const auto found = index_.find(name);
    return found == index_.end() ? nullptr : &tensors_[found->second];
  }

  std::string sha256() const override {
    std::call_once(hashed_, [this] {
      Sha256 hash;
      for (const auto& bytes : contents_) hash.update(bytes);
      sha256_ = hash.hex();
    });
    return sha256_;
  }

  void check_unchanged() const override {
    for (const MappedFile& file : files_) file.check_unchanged();
  }

 private:
  // Reads the siblings of `opened`, which may be any part, and takes all in order.
  void load_parts(Part opened, MapMode mode, const OpenOptions& options) {
    const auto name = parse_split_name(path_.filename().string());
    if (!name)
      fail_split(opened.name, "split.count",
                 fmt::format("{} parts, but the file name does not end in -NNNNN-of-NNNNN.gguf",
                             opened.split.count));
    const SplitKeys expected = opened.split;
    std::int64_t tensors = 0;
    for (int n = 1; n <= name->count; ++n) {
      const std::filesystem::path part_path = path_.parent_path() / name->part(n);
      Part part = n == name->number ? std::move(opened)
                                    : parse(files_.emplace_back(part_path, mode).bytes(),
                                            part_path.string(), warnings_);
      check_part(part, n, *name, expected);
      tensors += static_cast<std::int64_t>(part.tensors.size());
      adopt(std::move(part), options);
    }
    if (expected.tensors && *expected.tensors != tensors)
      fail_split(path_.string(), "split.tensors.count",
                 fmt::format("{} tensors expected, the {} parts have {}", *expected.tensors,
                             name->count, tensors));
  }

  void check_part(const Part& part, int n, const SplitName& name, const SplitKeys& expected) const {
    if (part.split.count != name.count)
      fail_split(part.name, "split.count",
                 fmt::format("is {}, the file name says {}", part.split.count, name.count));
    if (part.split.number != n - 1)
      fail_split(part.name, "split.no",
                 fmt::format("is {}, the file name says {}", part.split.number, n - 1),
                 "was a part renamed?");
    if (part.split.tensors != expected.tensors)
      fail_split(part.name, "split.tensors.count", "differs between the parts");
    if (n > 1 && part.version != version_)
      fail_split(part.name, "version",
                 fmt::format("is {}, that of the first part {}", part.version, version_));
  }

  // Parts come in order; metadata is that of the first one.
  void adopt(Part part, const OpenOptions& options) {
    if (options.check_tensors) check_content(part.tensors, part.name);
    if (contents_.empty()) {
      version_ = part.version;
      metadata_ = std::move(part.metadata);
      tensors_ = std::move(part.tensors);
    } else {
      tensors_.insert(tensors_.end(), std::make_move_iterator(part.tensors.begin()),
                      std::make_move_iterator(part.tensors.end()));
    }
    contents_.push_back(part.bytes);
  }

  void index_tensors() {
    index_.reserve(tensors_.size());
    for (std::size_t i = 0; i < tensors_.size(); ++i)
      if (!index_.emplace(tensors_[i].name, i).second)
        fail_split(path_.string(), tensors_[i].name, "tensor is in two parts");
  }

  std::filesystem::path path_;
  std::deque<MappedFile> files_;  // in the order of opening; empty for bytes in memory
  std::vector<std::span<const std::byte>> contents_;  // of the parts, in order
  std::uint32_t version_ = 0;
  Metadata metadata_;
  std::vector<Tensor> tensors_;
  std::unordered_map<std::string_view, std::size_t> index_;  // views of Tensor::name
  std::vector<std::string> warnings_;
  mutable std::once_flag hashed_;
  mutable std::string sha256_;
};

[[noreturn]] void fail_type(const File& file, std::string_view key, const Value& value,
                            std::string_view wanted) {
  fail_bad_data({.what = "bad metadata",
                 .file = file.path().string(),
                 .where = std::string(key),
                 .why = fmt::format("is {}, not {}", type_name(value), wanted)});
}

template <class T>
const T* typed(const File& file, std::string_view key, std::string_view wanted) {
  const Value* value = file.find(key);
  if (!value) return nullptr;
  if (const T* found = std::get_if<T>(value)) return found;
  fail_type(file, key, *value, wanted);
}

template <class T>
T require(std::optional<T> value, const File& file, std::string_view key) {
  if (value) return *std::move(value);
  fail_bad_data({.what = "bad metadata",
                 .file = file.path().string(),
                 .where = std::string(key),
                 .why = "this key is missing"});
}

}  // namespace

std::uint64_t Tensor::rows() const {
  std::uint64_t out = 1;
  for (std::size_t i = 1; i < dims.size(); ++i) out *= dims[i];
  return out;
}

std::unique_ptr<File> File::open(const std::filesystem::path& path, const OpenOptions& options) {
  auto file = std::make_unique<ModelFile>(path);
  file->load(options);
  return file;
}

std::unique_ptr<File> File::from_memory(std::span<const std::byte> bytes, std::string name,
                                        const OpenOptions& options) {
  auto file = std::make_unique<ModelFile>(std::move(name));
  file->load(bytes, options);
  return file;
}

std::optional<std::int64_t> File::integer(std::string_view key) const {
  const auto* value = typed<std::int64_t>(*this, key, "an integer");
  return value ? std::optional(*value) : std::nullopt;
}

std::optional<double> File::number(std::string_view key) const {
  if (const Value* value = find(key))
    if (const auto* n = std::get_if<std::int64_t>(value)) return static_cast<double>(*n);
  const auto* value = typed<double>(*this, key, "a number");
  return value ? std::optional(*value) : std::nullopt;
}

std::optional<bool> File::boolean(std::string_view key) const {
  const auto* value = typed<bool>(*this, key, "a bool");
  return value ? std::optional(*value) : std::nullopt;
}

std::optional<std::string> File::string(std::string_view key) const {
  const auto* value = typed<std::string>(*this, key, "a string");
  return value ? std::optional(*value) : std::nullopt;
}

std::int64_t File::require_integer(std::string_view key) const {
  return require(integer(key), *this, key);
}
double File::require_number(std::string_view key) const { return require(number(key), *this, key); }
std::string File::require_string(std::string_view key) const {
  return require(string(key), *this, key);
}

template <class T>
const std::vector<T>* File::array(std::string_view key) const {
  constexpr std::string_view kWanted = std::is_same_v<T, std::int64_t>   ? "an array of integers"
                                       : std::is_same_v<T, double>       ? "an array of numbers"
                                       : std::is_same_v<T, std::uint8_t> ? "an array of bools"
                                                                         : "an array of strings";
  const Value* value = find(key);
  if (!value) return nullptr;
  if (const auto* items = std::get_if<Array>(value))
    if (const auto* found = std::get_if<std::vector<T>>(items)) return found;
  fail_type(*this, key, *value, kWanted);
}

template const std::vector<std::int64_t>* File::array(std::string_view) const;
template const std::vector<double>* File::array(std::string_view) const;
template const std::vector<std::uint8_t>* File::array(std::string_view) const;
template const std::vector<std::string>* File::array(std::string_view) const;

}  // namespace ra::gguf
