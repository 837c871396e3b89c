// SPDX-License-Identifier: Apache-2.0
// The command line of a program as plain data, read from CLI11's definition: completions and man
// pages are made of it, so they cannot differ from what the parser takes.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace ra::cli {

struct OptionEntry {
  std::vector<std::string> names;  // "-t", "--threads"; empty for a positional argument
  std::string label;               // what a value is ("INT", "TEXT"); empty for a flag
  std::string range;               // the check of the value in words, or empty
  std::vector<std::string> choices;
  std::string positional;  // its name, or empty
  std::string help, group, envname, fallback;
  bool required = false, repeated = false;
};

struct CommandEntry {
  std::string name, help, footer;
  std::vector<OptionEntry> options;  // of this command only; hidden ones are left out
  std::vector<CommandEntry> commands;
};

CommandEntry read_commands(const CLI::App& app);

// The first line of a help text.
std::string first_line(const std::string& help);

}  // namespace ra::cli
