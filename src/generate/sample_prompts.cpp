#include "generate/sample_prompts.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/log.h"
#include "data/json_config.h"
#include "data/python_text.h"
#include "generate/sample_prompt_fields.h"
#include "options/toml_reader.h"

namespace difftune {
namespace {

// What prompts of a file are read for.
struct Reading {
  const PictureTraits& traits;
  const std::string& default_sampler;
};

void finish(SamplePrompt& prompt, const Reading& how) {
  round_sides(prompt, how.traits);
  check_sampler(prompt, how.traits, how.default_sampler);
}

PromptValue value_in(TomlReader& table, const PromptField& field) {
  switch (field.type) {
    case PromptField::Type::whole:
      return *table.integer(field.key);
    case PromptField::Type::real:
      return *table.number(field.key);
    default:
      return *table.string(field.key);
  }
}

// Reads the keys of one table on top of what `prompt` says already.
SamplePrompt read_table(TomlReader& table, SamplePrompt prompt, const Reading& how) {
  for (const PromptField& field : prompt_fields()) {
    if (!table.has(field.key)) continue;
    const PromptValue value = value_in(table, field);
    if (!applies(field, how.traits)) {
      log::warning("sample prompts: {} in line {} {}", field.key, table.line_of(field.key), kNotUsed);
      continue;
    }
    try {
      field.set(prompt, value);
    } catch (const UserError& error) {
      table.refuse(field.key, error.what());
    }
  }
  for (const ForeignField& field : foreign_fields()) {
    if (!table.has(field.key)) continue;
    table.allow(field.key);
    if (field.is_refused) table.refuse(field.key, field.message);
    log::warning("sample prompts: {} in line {} {}", field.key, table.line_of(field.key), field.message);
  }
  try {
    finish(prompt, how);
  } catch (const UserError& error) {
    table.refuse(table.has("sample_steps") ? "sample_steps" : "sample_sampler", error.what());
  }
  return prompt;
}

void apply_flag(SamplePrompt& prompt, std::string_view part, const PictureTraits& traits) {
  const size_t space = part.find(' ');
  const std::string name = python_lower(part.substr(0, space));
  const std::string_view value =
      space == std::string_view::npos ? std::string_view() : python_strip(part.substr(space + 1));
  for (const PromptField& field : prompt_fields()) {
    if (field.flag.empty() || field.flag != name) continue;
    if (value.empty()) fail("--{}: its value is missing", name);
    if (!applies(field, traits)) return log::warning("sample prompts: --{} {} {}", name, value, kNotUsed);
    try {
      return field.set(prompt, parse_prompt_value(field, value));
    } catch (const UserError& error) {
      fail("--{} {}: {}", name, value, error.what());
    }
  }
  for (const ForeignField& field : foreign_fields()) {
    if (field.flag != name) continue;
    if (field.is_refused) fail("--{} {}: {}", name, value, field.message);
    return log::warning("sample prompts: --{} {} {}", name, value, field.message);
  }
  fail("unknown flag '--{}', expected one of {}", name, known_flags(traits));
}

SamplePrompt parse_line(std::string_view line, const Reading& how) {
  const auto parts = split(line, " --");
  SamplePrompt prompt = default_prompt(how.traits);
  prompt.prompt = parts.front();
  for (size_t i = 1; i < parts.size(); ++i) apply_flag(prompt, parts[i], how.traits);
  finish(prompt, how);
  return prompt;
}

std::vector<SamplePrompt> read_lines(const std::string& text, const std::string& file, const Reading& how) {
  std::vector<SamplePrompt> prompts;
  size_t number = 0;
  for (const std::string& line : split(text, "\n")) {
    ++number;
    const std::string_view stripped = python_strip(line);
    if (stripped.empty() || line.front() == '#') continue;
    try {
      prompts.push_back(parse_line(stripped, how));
    } catch (const UserError& error) {
      fail("{}:{}: {}", file, number, error.what());
    }
  }
  return prompts;
}

std::vector<SamplePrompt> read_toml(const std::string& text, const std::string& file, const Reading& how) {
  const TomlTable tree = parse_toml_text(text, file);
  TomlReader root(tree, file);
  auto table = root.table("prompt");
  root.finish();
  if (!table) fail("{}: no [prompt]: the file holds no prompts", file);
  auto subsets = table->tables("subset");
  const SamplePrompt common = read_table(*table, default_prompt(how.traits), how);
  table->finish();
  if (subsets.empty()) return {common};
  std::vector<SamplePrompt> prompts;
  for (TomlReader& subset : subsets) {
    prompts.push_back(read_table(subset, common, how));
    subset.finish();
  }
  return prompts;
}

std::vector<SamplePrompt> read_json(const std::string& text, const std::string& file, const Reading& how) {
  nlohmann::ordered_json list;
  try {
    list = nlohmann::ordered_json::parse(text);
  } catch (const nlohmann::json::exception& error) {
    fail("{}: not valid JSON: {}", file, error.what());
  }
  if (!list.is_array()) fail("{}: expected a list of prompts, got {}", file, list.type_name());
  std::vector<SamplePrompt> prompts;
  for (const auto& item : list) {
    const std::string place = fmt::format("{}: prompt {}", file, prompts.size() + 1);
    if (item.is_string()) {
      try {
        prompts.push_back(parse_line(item.get<std::string>(), how));
      } catch (const UserError& error) {
        fail("{}: {}", place, error.what());
      }
    } else if (item.is_object()) {
      const TomlTable table = parse_json_config(item.dump(), file);
      TomlReader reader(table, file, fmt::format("prompt {}", prompts.size() + 1));
      reader.allow("subset");
      prompts.push_back(read_table(reader, default_prompt(how.traits), how));
      reader.finish();
    } else {
      fail("{}: expected a text or an object, got {}", place, item.type_name());
    }
  }
  return prompts;
}

std::string read_utf8(const fs::path& path) {
  if (!fs::is_regular_file(path)) fail("{}: no such file of prompts: check --sample_prompts", path.string());
  std::string text = read_file(path);
  if (text.starts_with("\xEF\xBB\xBF")) text.erase(0, 3);
  if (const size_t at = find_invalid_utf8(text); at != std::string::npos) {
    const auto line = 1 + std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(at), '\n');
    fail("{}:{}: the file is not UTF-8: save it as UTF-8", path.string(), line);
  }
  return text;
}

}  // namespace

std::vector<SamplePrompt> read_sample_prompts(const fs::path& path, const PictureTraits& traits,
                                              const std::string& default_sampler) {
  const std::string file = path.string(), extension = python_lower(path.extension().string());
  if (extension != ".txt" && extension != ".toml" && extension != ".json") {
    fail("{}: the name of a file of prompts ends with .txt, .toml or .json", file);
  }
  const auto read = extension == ".txt" ? read_lines : extension == ".toml" ? read_toml : read_json;
  const std::vector<SamplePrompt> prompts = read(read_utf8(path), file, {traits, default_sampler});
  if (prompts.empty()) fail("{}: holds no prompts", file);
  return prompts;
}

}  // namespace difftune
