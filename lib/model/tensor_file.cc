// SPDX-License-Identifier: Apache-2.0
#include "lib/model/tensor_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <optional>
#include <utility>

#include "lib/core/error.h"
#include "lib/core/hash.h"
#include "lib/core/output_file.h"

namespace ra::model {
namespace fs = std::filesystem;
namespace {

static_assert(std::endian::native == std::endian::little);

constexpr std::uint64_t kAlign = 4096, kHeadBytes = 64;
constexpr std::uint64_t kMostJson = 64u << 20;        // of any header this program could write
constexpr std::size_t kMostTensors = 16384;           // 16 of each layer
constexpr std::size_t kSlice = std::size_t{8} << 20;  // written and read back at a time
constexpr std::string_view kNoHash = "0000000000000000";

struct Head {
  char magic[8];
  std::uint32_t version, flags;
  std::uint64_t json_bytes, data_start, data_bytes, data_xxh3, header_xxh3, zero;
};
static_assert(sizeof(Head) == kHeadBytes);

std::uint64_t aligned(std::uint64_t n) { return (n + kAlign - 1) / kAlign * kAlign; }

std::string hex(std::uint64_t hash) { return fmt::format("{:016x}", hash); }

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

std::uint64_t header_hash(const Head& head, std::string_view json) {
  Xxh3 hash;
  hash.update(std::as_bytes(std::span(&head, 1)).first(offsetof(Head, header_xxh3)));
  hash.update(bytes_of(json));
  return hash.digest();
}

bool all_zero(std::span<const std::byte> bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == std::byte{0}; });
}

std::uint64_t size_of(const TensorSource& t) {
  std::uint64_t bytes = 0;
  for (const auto& piece : t.pieces) bytes += piece.size();
  return bytes;
}

// The data region of a file that is being written, hashed on its way.
class DataWriter {
 public:
  DataWriter(OutputFile& out, std::uint64_t start) : out_(out), start_(start) {}
  void write(std::span<const std::byte> bytes) {
    for (std::size_t n; !bytes.empty(); bytes = bytes.subspan(n)) {
      n = std::min(bytes.size(), kSlice);
      out_.write_at(start_ + size_, bytes.first(n));
      all_.update(bytes.first(n));
      if (tensor_) tensor_->update(bytes.first(n));
      size_ += n;
    }
  }
  // Zeros up to `offset`, where the next tensor begins.
  void begin_tensor(std::uint64_t offset) {
    static constexpr std::array<std::byte, kAlign> kZeros{};
    write(std::span(kZeros).first(offset - size_));
    tensor_.emplace();
  }
  std::uint64_t tensor_hash() const { return tensor_->digest(); }
  std::uint64_t hash() const { return all_.digest(); }
  std::uint64_t size() const { return size_; }

 private:
  OutputFile& out_;
  std::uint64_t start_, size_ = 0;
  Xxh3 all_;
  std::optional<Xxh3> tensor_;  // of the tensor begun last
};

// What the disk gives back is what was written.
void read_back(const OutputFile& out, const Head& head) {
  std::vector<std::byte> buffer(kSlice);
  Xxh3 hash;
  for (std::uint64_t done = 0; done < head.data_bytes;) {
    const std::size_t n = std::min<std::uint64_t>(kSlice, head.data_bytes - done);
    out.read_at(head.data_start + done, std::span(buffer).first(n));
    hash.update(std::span(buffer).first(n));
    done += n;
  }
  if (hash.digest() != head.data_xxh3)
    fail(Exit::kIo, {.what = "cannot write",
                     .file = out.target().string(),
                     .where = "data",
                     .why = "reads back differently from what was written",
                     .hint = "a failing disk?"});
}

}  // namespace

std::uint64_t tensor_file_bytes(std::span<const std::uint64_t> tensors) {
  std::uint64_t bytes = kHeadBytes + (64u << 10) + kAlign;
  for (const std::uint64_t t : tensors) bytes += aligned(t);
  return bytes;
}

void write_tensor_file(const fs::path& target, bool force, std::string_view magic, Json header,
                       const std::vector<TensorSource>& tensors) {
  RA_CHECK(magic.size() == sizeof(Head::magic) && !header.contains("tensors"));
  // The offsets are known before the hashes, and a hash has as many digits as its place holder: so
  // the JSON has its final length before the data is written.
  Json& list = header["tensors"] = Json::array();
  std::uint64_t end = 0;
  for (const TensorSource& t : tensors) {
    const std::uint64_t offset = aligned(end), bytes = size_of(t);
    list.push_back({{"layer", t.layer},
                    {"name", t.name},
                    {"offset", offset},
                    {"bytes", bytes},
                    {"xxh3", kNoHash}});
    end = offset + bytes;
  }
  Head head{};
  std::copy(magic.begin(), magic.end(), head.magic);
  head.version = 1;
  head.json_bytes = header.dump().size();
  head.data_start = aligned(kHeadBytes + head.json_bytes);
  head.data_bytes = end;

  OutputFile out(target, force, head.data_start + end);
  DataWriter data(out, head.data_start);
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    data.begin_tensor(list[i]["offset"].get<std::uint64_t>());
    for (const auto& piece : tensors[i].pieces) data.write(piece);
    list[i]["xxh3"] = hex(data.tensor_hash());
  }
  RA_CHECK(data.size() == end);
  head.data_xxh3 = data.hash();
  std::string json = header.dump();
  RA_CHECK(json.size() == head.json_bytes);
  head.header_xxh3 = header_hash(head, json);
  json.resize(head.data_start - kHeadBytes);  // zeros to the start of data
  out.write_at(0, std::as_bytes(std::span(&head, 1)));
  out.write_at(kHeadBytes, bytes_of(json));
  read_back(out, head);
  out.commit();
}

TensorFile::TensorFile(const fs::path& file, std::string_view magic, std::string_view what,
                       bool trust_data)
    : what_(what), file_(file) {
  read_header(magic);
  Head head;
  std::memcpy(&head, file_.bytes().data(), sizeof head);
  const auto data = file_.bytes().subspan(head.data_start);
  read_tensors(data);
  if (!trust_data && xxh3_64(data) != head.data_xxh3)
    refuse("data", fmt::format("xxh3-64 is {}, not {}", hex(xxh3_64(data)), hex(head.data_xxh3)),
           "the file is damaged");
}

void TensorFile::refuse(std::string where, std::string why, std::string hint) const {
  fail_bad_data({.what = "bad " + what_,
                 .file = file_.path().string(),
                 .where = std::move(where),
                 .why = std::move(why),
                 .hint = std::move(hint)});
}

void TensorFile::read_header(std::string_view magic) {
  const auto bytes = file_.bytes();
  if (bytes.size() < kHeadBytes)
    refuse("byte 0", fmt::format("{} bytes, the header alone has {}", bytes.size(), kHeadBytes),
           "truncated?");
  Head head;
  std::memcpy(&head, bytes.data(), sizeof head);
  if (std::string_view(head.magic, sizeof head.magic) != magic)
    refuse("byte 0", fmt::format("does not begin with {}", magic), "is it another kind of file?");
  if (head.version != 1) refuse("byte 8", fmt::format("version {}, not 1", head.version));
  if (head.flags != 0) refuse("byte 12", fmt::format("unknown flags {:#x}", head.flags));
  if (head.json_bytes > kMostJson || head.json_bytes > bytes.size() - kHeadBytes)
    refuse("byte 16", fmt::format("a JSON header of {} bytes, {} left", head.json_bytes,
                                  bytes.size() - kHeadBytes));
  if (head.data_start != aligned(kHeadBytes + head.json_bytes))
    refuse("byte 24", fmt::format("data at {}, {} expected", head.data_start,
                                  aligned(kHeadBytes + head.json_bytes)));
  if (head.data_start > bytes.size() || head.data_bytes != bytes.size() - head.data_start)
    refuse("byte 32",
           fmt::format("{} bytes of data at {}, the file has {}", head.data_bytes, head.data_start,
                       bytes.size()),
           "truncated?");
  if (head.zero != 0) refuse("byte 56", "not zero");
  const std::string_view json(reinterpret_cast<const char*>(bytes.data()) + kHeadBytes,
                              head.json_bytes);
  if (const std::uint64_t hash = header_hash(head, json); hash != head.header_xxh3)
    refuse("byte 48",
           fmt::format("xxh3-64 of the header is {}, not {}", hex(hash), hex(head.header_xxh3)),
           "the file is damaged");
  if (!all_zero(bytes.first(head.data_start).subspan(kHeadBytes + head.json_bytes)))
    refuse("header", "not zero between JSON and data");
  header_ = Json::parse(json, nullptr, false);
  if (!header_.is_object()) refuse("header", "is no JSON object");
}

void TensorFile::read_tensors(std::span<const std::byte> data) {
  const auto list = header_.find("tensors");
  if (list == header_.end() || !list->is_array()) refuse("tensors", "is no list");
  if (list->size() > kMostTensors) refuse("tensors", fmt::format("{} of them", list->size()));
  std::uint64_t end = 0;
  for (const Json& t : *list) {
    const std::string where = fmt::format("tensor {}", tensors_.size());
    const auto field = [&](const char* name) -> std::uint64_t {
      const auto value = t.find(name);  // end() if t is no object
      if (value == t.end() || !value->is_number_unsigned())
        refuse(where, fmt::format("no number '{}'", name));
      return value->get<std::uint64_t>();
    };
    const std::uint64_t layer = field("layer"), offset = field("offset"), bytes = field("bytes");
    const auto name = t.find("name"), hash = t.find("xxh3");
    if (name == t.end() || !name->is_string()) refuse(where, "no 'name'");
    if (hash == t.end() || !hash->is_string()) refuse(where, "no 'xxh3'");
    if (layer > 1024) refuse(where, fmt::format("layer {}", layer));
    if (offset != aligned(end) || offset > data.size() || bytes > data.size() - offset)
      refuse(where, fmt::format("{} bytes at {}, after {} of {}", bytes, offset, end, data.size()));
    if (!all_zero(data.subspan(end, offset - end))) refuse(where, "not zero before it");
    tensors_.push_back({.layer = static_cast<int>(layer),
                        .name = name->get<std::string>(),
                        .bytes = data.subspan(offset, bytes)});
    if (find(tensors_.back().layer, tensors_.back().name) != &tensors_.back())
      refuse(where, fmt::format("a second '{}' of layer {}", tensors_.back().name, layer));
    end = offset + bytes;
  }
  if (end != data.size())
    refuse("tensors", fmt::format("end at {} of {} bytes of data", end, data.size()));
}

const TensorFile::Tensor* TensorFile::find(int layer, std::string_view name) const {
  const auto t = std::find_if(tensors_.begin(), tensors_.end(), [&](const Tensor& tensor) {
    return tensor.layer == layer && tensor.name == name;
  });
  return t == tensors_.end() ? nullptr : &*t;
}

std::span<const std::byte> TensorFile::require(int layer, std::string_view name,
                                               std::uint64_t bytes) const {
  const std::string where = fmt::format("{} of layer {}", name, layer);
  const Tensor* t = find(layer, name);
  if (t == nullptr) refuse(where, "is missing");
  if (t->bytes.size() != bytes)
    refuse(where, fmt::format("{} bytes, {} expected", t->bytes.size(), bytes));
  return t->bytes;
}

std::int64_t TensorFile::integer(const char* field, std::int64_t least, std::int64_t most) const {
  const auto value = header_.find(field);
  if (value == header_.end() || !value->is_number_integer()) refuse(field, "is no integer");
  // An unsigned number above the range of the signed one comes out negative.
  const auto n = value->get<std::int64_t>();
  if (n < least || n > most) refuse(field, fmt::format("{} is not in {}..{}", n, least, most));
  return n;
}

double TensorFile::number(const char* field) const {
  const auto value = header_.find(field);
  if (value == header_.end() || !value->is_number()) refuse(field, "is no number");
  return value->get<double>();
}

std::string TensorFile::text(const char* field) const {
  const auto value = header_.find(field);
  if (value == header_.end() || !value->is_string()) refuse(field, "is no string");
  return value->get<std::string>();
}

std::string TensorFile::object(const char* field) const {
  const auto value = header_.find(field);
  if (value == header_.end() || !value->is_object()) refuse(field, "is no object");
  return value->dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace ra::model
