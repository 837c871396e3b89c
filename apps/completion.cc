// SPDX-License-Identifier: Apache-2.0
#include "apps/completion.h"

#include <fmt/format.h>

#include <algorithm>

namespace ra::cli {
namespace {

// `text` with every one of `special` behind a backslash.
std::string escaped_for(std::string_view text, std::string_view special) {
  std::string out;
  for (const char c : text) {
    if (special.find(c) != std::string_view::npos) out += '\\';
    out += c;
  }
  return out;
}

std::string single_quoted(std::string_view text) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

// The name of a shell function: "ra-recall" gives "_ra_recall".
std::string function_name(const CommandEntry& program) {
  std::string name = "_" + program.name;
  std::ranges::replace(name, '-', '_');
  return name;
}

// Options of a subcommand and of the program, which takes them behind it as well.
std::vector<OptionEntry> options_in(const CommandEntry& program, const CommandEntry& command) {
  std::vector<OptionEntry> options = command.options;
  for (const OptionEntry& option : program.options) {
    const bool own = std::ranges::any_of(
        command.options, [&](const OptionEntry& o) { return o.names == option.names; });
    if (!own) options.push_back(option);
  }
  return options;
}

// ---- bash --------------------------------------------------------------------------------------

// One branch of the case over the command: what the word before asks for, then all words.
std::string bash_branch(std::string_view pattern, const std::vector<OptionEntry>& options,
                        const std::vector<CommandEntry>& commands) {
  std::vector<std::string> words, values;
  std::string out = fmt::format("    {})\n      case $prev in\n", pattern);
  for (const CommandEntry& command : commands) words.push_back(command.name);
  for (const OptionEntry& option : options) {
    words.insert(words.end(), option.names.begin(), option.names.end());
    if (option.label.empty() || option.names.empty()) continue;
    if (option.choices.empty())
      values.insert(values.end(), option.names.begin(), option.names.end());
    else
      out += fmt::format("        {}) words='{}' ;;\n", fmt::join(option.names, "|"),
                         fmt::join(option.choices, " "));
  }
  if (!values.empty()) out += fmt::format("        {}) return ;;\n", fmt::join(values, "|"));
  return out + fmt::format("        *) words='{}' ;;\n      esac ;;\n", fmt::join(words, " "));
}

std::string bash_script(const CommandEntry& program) {
  std::vector<std::string> names;
  for (const CommandEntry& command : program.commands) names.push_back(command.name);
  const std::string function = function_name(program);
  std::string out = fmt::format(
      "# bash completion for {}\n"
      "{}() {{\n"
      "  local cur=${{COMP_WORDS[COMP_CWORD]}} prev=${{COMP_WORDS[COMP_CWORD-1]}} command= words= "
      "i\n"
      "  if [[ $cur == = ]]; then cur=\n"
      "  elif [[ $prev == = ]]; then prev=${{COMP_WORDS[COMP_CWORD-2]}}\n"
      "  fi\n",
      program.name, function);
  if (!names.empty())
    out += fmt::format(
        "  for ((i = 1; i < COMP_CWORD; ++i)); do\n"
        "    case ${{COMP_WORDS[i]}} in\n"
        "      {}) command=${{COMP_WORDS[i]}}; break ;;\n"
        "    esac\n"
        "  done\n",
        fmt::join(names, "|"));
  out += "  COMPREPLY=()\n  case $command in\n";
  for (const CommandEntry& command : program.commands)
    out += bash_branch(command.name, options_in(program, command), {});
  out += bash_branch("*", program.options, program.commands);
  return out + fmt::format(
                   "  esac\n"
                   "  COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
                   "}}\n"
                   "complete -o default -F {} {}\n",
                   function, program.name);
}

// ---- zsh ---------------------------------------------------------------------------------------

std::string zsh_value(const OptionEntry& option) {
  const std::string label = escaped_for(option.label, ":[]\\");
  if (option.choices.empty()) return fmt::format(":{}:_files", label);
  return fmt::format(":{}:({})", label, fmt::join(option.choices, " "));
}

// The specs of _arguments, one a line.
std::string zsh_specs(const std::vector<OptionEntry>& options) {
  std::string out;
  for (const OptionEntry& option : options) {
    if (option.names.empty()) {
      out +=
          fmt::format("    {} \\\n", single_quoted(fmt::format("*:{}:_files", option.positional)));
      continue;
    }
    const std::string text = fmt::format("[{}]{}", escaped_for(first_line(option.help), ":[]\\"),
                                         option.label.empty() ? "" : zsh_value(option));
    for (const std::string& name : option.names) {
      const std::string excluded =
          option.repeated ? "*" : fmt::format("({})", fmt::join(option.names, " "));
      out += fmt::format("    {} \\\n", single_quoted(excluded + name + text));
    }
  }
  return out;
}

std::string zsh_script(const CommandEntry& program) {
  const std::string start = fmt::format("#compdef {}\n", program.name);
  if (program.commands.empty())
    return start + "_arguments -s -S \\\n" + zsh_specs(program.options) + "    && return 0\n";
  std::string commands;
  for (const CommandEntry& command : program.commands)
    commands +=
        fmt::format(" {}\\:\"{}\"", command.name, escaped_for(first_line(command.help), ":\"`$\\"));
  std::string out = start + "local curcontext=$curcontext state line\ntypeset -A opt_args\n";
  out += "_arguments -C -S \\\n" + zsh_specs(program.options) +
         fmt::format("    {} \\\n    '*::argument:->rest' && return 0\n",
                     single_quoted(fmt::format("1:command:(({}))", commands.substr(1))));
  out += "case $line[1] in\n";
  for (const CommandEntry& command : program.commands)
    out += fmt::format("  {})\n    _arguments -S \\\n{}    && return 0 ;;\n", command.name,
                       zsh_specs(options_in(program, command)));
  return out + "esac\n";
}

// ---- fish --------------------------------------------------------------------------------------

std::string fish_options(const CommandEntry& program, const std::vector<OptionEntry>& options,
                         std::string_view condition) {
  std::string out;
  for (const OptionEntry& option : options) {
    if (option.names.empty()) continue;
    out += fmt::format("complete -c {}{}", program.name, condition);
    for (const std::string& name : option.names)
      out += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
    if (!option.choices.empty())
      out += fmt::format(" -x -a '{}'", fmt::join(option.choices, " "));
    else if (!option.label.empty())
      out += " -r";
    out += fmt::format(" -d '{}'\n", escaped_for(first_line(option.help), "'\\"));
  }
  return out;
}

std::string fish_script(const CommandEntry& program) {
  std::string out = fmt::format("# fish completion for {}\n", program.name);
  out += fish_options(program, program.options, "");
  for (const CommandEntry& command : program.commands)
    out += fmt::format("complete -c {} -n __fish_use_subcommand -f -a {} -d '{}'\n", program.name,
                       command.name, escaped_for(first_line(command.help), "'\\"));
  for (const CommandEntry& command : program.commands)
    out += fish_options(program, command.options,
                        fmt::format(" -n '__fish_seen_subcommand_from {}'", command.name));
  return out;
}

}  // namespace

std::string completion_script(const CommandEntry& program, std::string_view shell) {
  if (shell == "bash") return bash_script(program);
  return shell == "zsh" ? zsh_script(program) : fish_script(program);
}

}  // namespace ra::cli
