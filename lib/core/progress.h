// SPDX-License-Identifier: Apache-2.0
// A progress line on stderr: bar, counts, rate, time left. Redrawn on a terminal, one line every
// few seconds otherwise (only if asked for), nothing when quiet.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace ra {

enum class ProgressMode { kAuto, kAlways, kNever };
void set_progress_mode(ProgressMode mode);

class Progress {
 public:
  Progress(std::string label, std::uint64_t total, std::string unit);
  ~Progress();  // erases the line on a terminal
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  void update(std::uint64_t done, const std::string& note = "");

 private:
  void draw(const std::string& note);
  std::string label_, unit_;
  std::uint64_t total_, done_ = 0;
  std::chrono::steady_clock::time_point start_, last_{};
  bool active_ = false, terminal_ = false;
};

}  // namespace ra
