// SPDX-License-Identifier: Apache-2.0
#include "lib/core/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <utility>

namespace ra {
namespace {

std::atomic<ProgressMode> mode{ProgressMode::kAuto};

std::string duration(double seconds) {
  const auto s = static_cast<long>(std::max(0.0, seconds) + 0.5);
  return s < 3600 ? fmt::format("{}:{:02}", s / 60, s % 60)
                  : fmt::format("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60);
}

}  // namespace

void set_progress_mode(ProgressMode m) { mode = m; }

Progress::Progress(std::string label, std::uint64_t total, std::string unit)
    : label_(std::move(label)),
      unit_(std::move(unit)),
      total_(std::max<std::uint64_t>(total, 1)),
      start_(std::chrono::steady_clock::now()) {
  terminal_ = isatty(STDERR_FILENO) == 1;
  active_ = mode == ProgressMode::kAlways || (mode == ProgressMode::kAuto && terminal_);
}

Progress::~Progress() {
  if (active_ && terminal_ && last_ != std::chrono::steady_clock::time_point{})
    std::fputs("\r\033[K", stderr);
}

void Progress::update(std::uint64_t done, const std::string& note) {
  done_ = std::min(done, total_);
  if (!active_) return;
  const auto now = std::chrono::steady_clock::now();
  const auto interval =
      terminal_ ? std::chrono::milliseconds(100) : std::chrono::milliseconds(5000);
  if (done_ < total_ && last_ != std::chrono::steady_clock::time_point{} && now - last_ < interval)
    return;
  last_ = now;
  draw(note);
}

void Progress::draw(const std::string& note) {
  const double seconds = std::chrono::duration<double>(last_ - start_).count();
  const double share = static_cast<double>(done_) / static_cast<double>(total_);
  constexpr int kWidth = 24;
  const int filled = static_cast<int>(share * kWidth);
  std::string bar(static_cast<std::size_t>(filled), '#');
  bar.resize(kWidth, '.');
  const double rate = seconds > 0 ? static_cast<double>(done_) / seconds : 0;
  const std::string left = share > 0 ? duration(seconds / share - seconds) : "?";
  const std::string line =
      fmt::format("{} [{}] {:3.0f}% {}/{} {} {:.0f}/s, {} left{}{}", label_, bar, share * 100,
                  done_, total_, unit_, rate, left, note.empty() ? "" : "  ", note);
  std::fputs(terminal_ ? ("\r\033[K" + line).c_str() : (line + "\n").c_str(), stderr);
  std::fflush(stderr);
}

}  // namespace ra
