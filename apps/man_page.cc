// SPDX-License-Identifier: Apache-2.0
#include "apps/man_page.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <sstream>

namespace ra::cli {
namespace {

// A line that roff neither takes as a request nor rewrites.
std::string roff_line(std::string_view text) {
  std::string out;
  if (text.starts_with('.') || text.starts_with('\'')) out = "\\&";
  for (const char c : text) {
    if (c == '\\')
      out += "\\e";
    else if (c == '-')
      out += "\\-";
    else
      out += c;
  }
  return out;
}

// Text whose line ends are kept.
std::string roff(const std::string& text) {
  std::string out;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.empty()) continue;
    const std::size_t indent = line.find_first_not_of(' ');
    if (!out.empty()) out += ".br\n";
    out += (indent == 0 ? "" : "\\ \\ ") + roff_line(line.substr(indent)) + "\n";
  }
  return out;
}

std::string option_text(const OptionEntry& option) {
  std::vector<std::string> names;
  for (const std::string& name : option.names)
    names.push_back(fmt::format("\\fB{}\\fR", roff_line(name)));
  if (names.empty()) names.push_back(fmt::format("\\fI{}\\fR", roff_line(option.positional)));
  std::string head = fmt::format("{}", fmt::join(names, ", "));
  if (!option.label.empty() && !option.names.empty())
    head += fmt::format(" \\fI{}\\fR", roff_line(option.label));
  std::string out = ".TP\n" + head + "\n" + roff(option.help);
  const auto add = [&](const std::string& line) { out += ".br\n" + roff_line(line) + "\n"; };
  if (!option.choices.empty()) add(fmt::format("One of: {}.", fmt::join(option.choices, ", ")));
  if (!option.range.empty()) add(fmt::format("Value: {}.", option.range));
  if (option.required) add("Required.");
  if (!option.fallback.empty()) add(fmt::format("Default: {}.", option.fallback));
  if (!option.envname.empty()) add(fmt::format("Environment: {}.", option.envname));
  return out;
}

// The options, group by group in the order of their first ones.
std::string option_list(const CommandEntry& command) {
  std::vector<std::string> groups;
  for (const OptionEntry& option : command.options)
    if (std::ranges::find(groups, option.group) == groups.end()) groups.push_back(option.group);
  std::string out;
  for (const std::string& group : groups) {
    out += fmt::format(".PP\n{}:\n", roff_line(group));
    for (const OptionEntry& option : command.options)
      if (option.group == group) out += option_text(option);
  }
  return out;
}

}  // namespace

std::string man_page(const CommandEntry& program, std::string_view version) {
  std::string title = program.name;
  std::ranges::transform(title, title.begin(),
                         [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  std::string what = program.help;
  std::ranges::replace(what, '\n', ' ');
  const std::string first_sentence = what.substr(0, what.find(". "));
  std::string out = fmt::format(
      ".TH {} 1 \"\" \"retrieval\\-attention {}\" \"User Commands\"\n"
      ".SH NAME\n{} \\- {}\n"
      ".SH SYNOPSIS\n.B {}\n{}[\\fIOPTIONS\\fR]\n"
      ".SH DESCRIPTION\n{}\n",
      roff_line(title), roff_line(version), roff_line(program.name), roff_line(first_sentence),
      roff_line(program.name), program.commands.empty() ? "" : "\\fICOMMAND\\fR ", roff_line(what));
  if (!program.footer.empty()) out += ".SH EXAMPLES\n" + roff(program.footer);
  if (!program.commands.empty()) out += ".SH COMMANDS\n";
  for (const CommandEntry& command : program.commands)
    out += fmt::format(".SS {}\n{}{}", roff_line(command.name), roff(command.help),
                       roff(command.footer)) +
           option_list(command);
  out += ".SH OPTIONS\n";
  if (!program.commands.empty()) out += "Before or behind the command.\n";
  return out + option_list(program) +
         ".SH SEE ALSO\n"
         ".BR ra\\-dump (1),\n.BR ra\\-recall (1),\n.BR ra\\-bench (1)\n";
}

}  // namespace ra::cli
