// SPDX-License-Identifier: Apache-2.0
#include "lib/bench/results.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <functional>
#include <random>
#include <sstream>
#include <string_view>

#include "lib/core/error.h"
#include "lib/core/output_file.h"
#include "lib/core/provenance.h"
#include "lib/core/text_file.h"
#include "lib/stats/quantiles.h"

namespace ra::bench {
namespace {

const std::string& run_id() {
  static const std::string id = [] {
    std::random_device device;
    return fmt::format("{:08x}{:08x}", device(), device());
  }();
  return id;
}

// Replaces numbers that JSON cannot hold by null and collects the names of their fields.
void null_non_finite(Json& value, const std::string& name, std::string& found) {
  if (value.is_structured()) {
    for (auto& [key, item] : value.items())
      null_non_finite(item, value.is_object() ? key : name, found);
  } else if (value.is_number_float() && !std::isfinite(value.get<double>())) {
    value = nullptr;
    found += (found.empty() ? "" : ", ") + name;
  }
}

[[noreturn]] void fail_system(const std::filesystem::path& file, int error, Exit otherwise) {
  const bool forbidden = error == EACCES || error == EPERM;
  fail(forbidden ? Exit::kPermission : otherwise,
       {.what = otherwise == Exit::kIo ? "cannot write" : "cannot create",
        .file = file.string(),
        .where = "",
        .why = std::strerror(error),
        .hint = error == ELOOP ? "name the file itself, not a link to it" : ""});
}

void write_all(int fd, std::string_view bytes, const std::filesystem::path& file) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail_system(file, errno, Exit::kIo);
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
}

// A file that never held records is not ours to append to (an append cuts a torn last line).
void check_holds_records(const std::filesystem::path& file) {
  const int fd = ::open(file.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0) fail_system(file, errno, Exit::kCannotCreate);
  constexpr std::string_view kStart = "{\"schema_version\":";  // of every record, see to_record
  std::array<char, kStart.size()> start{};
  const ssize_t n = ::pread(fd, start.data(), start.size(), 0);
  const int error = n < 0 ? errno : 0;
  ::close(fd);
  if (error != 0) fail_system(file, error, Exit::kIo);
  if (!kStart.starts_with({start.data(), static_cast<std::size_t>(n)}))
    fail(Exit::kCannotCreate, {.what = "cannot append",
                               .file = file.string(),
                               .where = "byte 0",
                               .why = "the file does not hold result records",
                               .hint = "choose another -o"});
}

void for_each_record(const std::filesystem::path& file, bool torn_is_bad,
                     const std::function<void(Json)>& use) {
  std::istringstream in(read_bytes(file));
  std::size_t number = 0;
  const auto refuse = [&](const std::string& why, const std::string& hint = "") {
    fail_bad_data({.what = "bad record",
                   .file = file.string(),
                   .where = fmt::format("line {}", number),
                   .why = why,
                   .hint = hint});
  };
  for (std::string line; std::getline(in, line);) {
    ++number;
    const bool torn = in.eof();  // no newline at the end
    if (torn && !torn_is_bad) break;
    Json record = Json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (record.is_discarded())
      refuse(torn ? "the line is cut short" : "not JSON",
             torn ? "left by an interrupted run; the next append to the file removes it" : "");
    if (!record.is_object() || !record.contains("schema_version"))
      refuse("not a result record: no schema_version");
    if (record["schema_version"] != kSchemaVersion)
      refuse(fmt::format("schema_version {}, this program reads {}",
                         record["schema_version"].dump(), kSchemaVersion));
    use(std::move(record));
  }
  if (number == 0 && torn_is_bad) {
    number = 1;
    refuse("the file is empty");
  }
}

}  // namespace

Json percentiles(std::vector<double> values) {
  const stats::Summary s = stats::summarise(std::move(values));
  Json j;
  j["n"] = s.n;
  j["mean"] = s.mean;
  j["stddev"] = s.stddev;
  j["min"] = s.min;
  j["p05"] = s.p05;
  j["p50"] = s.p50;
  j["p95"] = s.p95;
  j["p99"] = s.p99;
  j["max"] = s.max;
  return j;
}

Json to_record(const Result& result, const Run& run) {
  Json r;
  r["schema_version"] = kSchemaVersion;
  r["tool"] = run.tool;
  r["tool_version"] = tool_version();
  r["kind"] = result.kind;
  r["time_utc"] = now_utc();
  r["run_id"] = run_id();
  r["pair"] = run.pair ? Json(*run.pair) : Json(nullptr);
  r["status"] = result.status;
  r["status_detail"] = nullptr;
  r["provenance"] = provenance();
  r["provenance"]["bandwidth_gb_s"] =
      run.bandwidth_gb_s > 0 ? Json(run.bandwidth_gb_s) : Json(nullptr);
  r["config"] = result.config;
  r["metrics"] = result.metrics;
  r["samples"] = Json::object();
  r["percentiles"] = Json::object();
  for (const auto& [name, repetitions] : result.samples) {
    r["samples"][name] = repetitions;
    std::vector<double> all;
    for (const auto& inner : repetitions) all.insert(all.end(), inner.begin(), inner.end());
    std::erase_if(all, [](double v) { return !std::isfinite(v); });
    if (!all.empty()) r["percentiles"][name] = percentiles(std::move(all));
  }
  if (!result.ci95.empty()) {
    r["ci95"] = Json::object();
    for (const auto& [name, interval] : result.ci95)
      r["ci95"][name] = Json::array({interval.first, interval.second});
  }
  for (const auto& [key, value] : result.extra.items()) r[key] = value;

  std::string found;
  for (const char* part : {"config", "metrics", "samples", "percentiles", "ci95"})
    if (r.contains(part)) null_non_finite(r[part], part, found);
  std::string detail = result.status_detail;
  if (detail.empty() && !found.empty()) detail = "not finite: " + found;
  if (!detail.empty()) r["status_detail"] = detail;
  return r;
}

ResultWriter::ResultWriter(const std::filesystem::path& out, Run run)
    : out_(out), run_(std::move(run)) {
  if (out_.empty()) return;
  if (out_ == "-") {
    fd_ = STDOUT_FILENO;
    return;
  }
  // Checked before any work, so that a bad path does not cost a run; created by the first record,
  // so that a run that fails leaves nothing. Devices and pipes are only written to; a regular file
  // goes through append_line, which reopens it for each record.
  struct stat st {};
  if (::stat(out_.c_str(), &st) == 0 && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)) {
    fd_ = ::open(out_.c_str(), O_WRONLY | O_CLOEXEC);
    if (fd_ < 0) fail_system(out_, errno, Exit::kCannotCreate);
  } else if (::lstat(out_.c_str(), &st) != 0) {
    check_output(out_, /*force=*/false);
  } else {
    check_holds_records(out_);
  }
}

ResultWriter::~ResultWriter() {
  if (fd_ >= 0 && fd_ != STDOUT_FILENO) ::close(fd_);
}

void ResultWriter::write(const Result& result) {
  Json record = to_record(result, run_);
  if (!run_.samples) record["samples"] = Json::object();
  const std::string line =
      out_.empty() ? "" : record.dump(-1, ' ', false, Json::error_handler_t::replace);
  record.erase("samples");
  records_.push_back(std::move(record));
  if (out_.empty()) return;
  if (fd_ < 0) {
    append_line(out_, line);
  } else {
    std::fflush(stdout);
    write_all(fd_, line + "\n", fd_ == STDOUT_FILENO ? "<stdout>" : out_);
  }
}

std::vector<Json> read_records(const std::filesystem::path& file) {
  std::vector<Json> records;
  for_each_record(file, /*torn_is_bad=*/true, [&](Json r) { records.push_back(std::move(r)); });
  return records;
}

std::vector<Json> read_finished_records(const std::filesystem::path& file) {
  std::vector<Json> records;
  if (!std::filesystem::exists(file)) return records;
  for_each_record(file, /*torn_is_bad=*/false, [&](Json r) {
    r.erase("samples");
    records.push_back(std::move(r));
  });
  return records;
}

}  // namespace ra::bench
