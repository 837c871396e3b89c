// SPDX-License-Identifier: Apache-2.0
// What the three programs share on the command line: common options, config files, exit codes.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace ra::cli {

// Options every program takes; bound once on the root app, readable from every subcommand.
struct CommonOptions {
  int threads = 0;  // 0 = physical cores in the cgroup and affinity mask
  std::uint64_t seed = 1;
  std::string cpu_level;  // empty = RA_CPU_LEVEL or the best one
  std::string memory_limit;
  std::string cache_dir;
  bool no_cache = false;
  std::string progress = "auto", color = "auto";
  bool quiet = false;
  int verbose = 0;
};

// Adds the common options, --version, --build-info, --config and --print-config to `app`; hidden,
// --print-completion SHELL and --print-man, which describe all of `app` as it is when it parses.
void bind_common(CLI::App& app, CommonOptions& options);

// Parses, applies the common options (threads, level, progress) and runs `body`; the only catch of
// the program. Returns the exit code of formats: CLI errors 2, config errors 78, ra::Error its own
// code, bad_alloc 71, anything else 70. Prints errors as "PROGRAM: error: WHAT: FILE: WHERE: WHY".
int run(CLI::App& app, CommonOptions& options, int argc, char** argv,
        const std::function<int()>& body);

// "PROGRAM: warning: LINE" for each line on stderr; nothing with --quiet.
void warn(const CommonOptions& options, std::span<const std::string> lines);

// The command line as one shell-quoted string, for records.
const std::string& command_line();

// True if a person reads stdout/stderr there and colour is allowed (NO_COLOR, TERM=dumb, --color).
bool use_color();

}  // namespace ra::cli
