#include "optim/lr_scheduler.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numbers>

#include "base/error.h"
#include "optim/known_names.h"
#include "optim/named_arg_reader.h"

namespace difftune {
namespace {

using std::numbers::pi;

// What a maker sees: all numbers resolved, `args` still to be read.
struct Request {
  const LrScheduleConfig& config;
  NamedArgReader args;
  int64_t num_steps, warmup, decay;
};

double ratio(int64_t part, int64_t whole) {
  return static_cast<double>(part) / static_cast<double>(std::max<int64_t>(1, whole));
}

// `after` with the linear warm-up before it.
LrSchedule with_warmup(int64_t warmup, LrSchedule after) {
  return [=](int64_t step) { return step < warmup ? ratio(step, warmup) : after(step); };
}

// `after` takes the part of the run since the warm-up, 0 to 1 and beyond.
LrSchedule over_progress(const Request& request, std::function<double(double)> after) {
  const int64_t warmup = request.warmup, length = request.num_steps - request.warmup;
  return with_warmup(warmup, [=](int64_t step) { return after(ratio(step - warmup, length)); });
}

double half_cosine(double turns) { return 0.5 * (1.0 + std::cos(pi * turns * 2.0)); }

LrSchedule constant(Request& request) {
  if (request.warmup != 0) {
    fail("--lr_scheduler constant has no warm-up: use constant_with_warmup or set --lr_warmup_steps 0");
  }
  return [](int64_t) { return 1.0; };
}

LrSchedule constant_with_warmup(Request& request) {
  return with_warmup(request.warmup, [](int64_t) { return 1.0; });
}

LrSchedule linear(Request& request) {
  const int64_t num_steps = request.num_steps, warmup = request.warmup;
  return with_warmup(warmup, [=](int64_t step) { return std::max(0.0, ratio(num_steps - step, num_steps - warmup)); });
}

LrSchedule cosine(Request& request) {
  const double cycles = request.args.number("num_cycles", 0.5);
  return over_progress(request, [=](double progress) { return std::max(0.0, half_cosine(cycles * progress)); });
}

LrSchedule cosine_with_restarts(Request& request) {
  const auto cycles = static_cast<double>(request.config.num_cycles);
  return over_progress(request, [=](double progress) {
    if (progress >= 1.0) return 0.0;
    return std::max(0.0, 0.5 * (1.0 + std::cos(pi * std::fmod(cycles * progress, 1.0))));
  });
}

LrSchedule polynomial(Request& request) {
  const double initial = request.config.learning_rate, power = request.config.power;
  const double end = request.args.number("lr_end", 1e-7);
  if (!(initial > end))
    fail("--lr_scheduler polynomial ends at {}, so --learning_rate {} must be above it", end, initial);
  const int64_t num_steps = request.num_steps, warmup = request.warmup;
  return with_warmup(warmup, [=](int64_t step) {
    if (step > num_steps || num_steps == warmup) return end / initial;
    const double remaining = 1 - static_cast<double>(step - warmup) / static_cast<double>(num_steps - warmup);
    return ((initial - end) * std::pow(remaining, power) + end) / initial;
  });
}

LrSchedule inverse_sqrt(Request& request) {
  const int64_t warmup = request.warmup;
  const int64_t timescale = request.config.timescale.value_or(warmup != 0 ? warmup : 10000);
  if (timescale < 1) fail("--lr_scheduler_timescale is {}, expected 1 or more", timescale);
  return with_warmup(warmup, [=](int64_t step) {
    return 1.0 / std::sqrt(static_cast<double>(step + timescale - warmup) / static_cast<double>(timescale));
  });
}

LrSchedule cosine_with_min_lr(Request& request) {
  std::optional<double> floor = request.config.min_lr_ratio;
  if (const auto min_lr = request.args.optional_number("min_lr")) {
    if (floor) fail("give either --lr_scheduler_min_lr_ratio or min_lr in --lr_scheduler_args, not both");
    floor = *min_lr / request.config.learning_rate;
  }
  if (!floor) fail("--lr_scheduler cosine_with_min_lr needs --lr_scheduler_min_lr_ratio");
  const double cycles = static_cast<double>(request.config.num_cycles) / 2;
  return over_progress(request, [=, floor = *floor](double progress) {
    return std::max(0.0, half_cosine(cycles * progress) * (1 - floor) + floor);
  });
}

// The ways of warmup_stable_decay from 0 to 1 and from 1 to 0.
std::function<double(double)> rise(const std::string& kind) {
  if (kind == "linear") return [](double progress) { return progress; };
  if (kind == "cosine") return [](double progress) { return 0.5 * (1.0 - std::cos(pi * progress)); };
  if (kind == "1-sqrt") return [](double progress) { return 1.0 - std::sqrt(1.0 - progress); };
  fail("--lr_scheduler_args: warmup_type is '{}', expected 'linear', 'cosine' or '1-sqrt'", kind);
}

std::function<double(double)> fall(const std::string& kind, double cycles) {
  if (kind == "linear") return [](double progress) { return 1.0 - progress; };
  if (kind == "cosine") return [=](double progress) { return half_cosine(cycles * progress); };
  if (kind == "1-sqrt") return [](double progress) { return 1.0 - std::sqrt(progress); };
  fail("--lr_scheduler_args: decay_type is '{}', expected 'linear', 'cosine' or '1-sqrt'", kind);
}

LrSchedule warmup_stable_decay(Request& request) {
  const double floor = request.config.min_lr_ratio.value_or(0.0);
  const auto up = rise(request.args.text("warmup_type", "linear"));
  const auto down = fall(request.args.text("decay_type", "cosine"), static_cast<double>(request.config.num_cycles) / 2);
  const int64_t warmup = request.warmup, decay = request.decay, decay_start = request.num_steps - decay;
  if (decay_start < warmup) {
    fail("--lr_warmup_steps {} and --lr_decay_steps {} together exceed the {} steps of the run", warmup, decay,
         request.num_steps);
  }
  return [=](int64_t step) {
    const auto above_floor = [&](double factor) { return std::max(0.0, factor * (1.0 - floor) + floor); };
    if (step < warmup) return above_floor(up(ratio(step, warmup)));
    if (step < decay_start) return 1.0;
    if (step < decay_start + decay) return above_floor(down(ratio(step - decay_start, decay)));
    return floor;
  };
}

double parse_factor(std::string_view text, std::string_view rules) {
  double value = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || stop != text.data() + text.size()) {
    fail("--lr_scheduler_args: step_rules is '{}', expected e.g. '1:10,0.1:20,0.01' (factor:until step, last factor)",
         rules);
  }
  return value;
}

LrSchedule piecewise_constant(Request& request) {
  const std::string rules = request.args.text("step_rules", "");
  std::vector<std::pair<int64_t, double>> pieces;  // until which step, factor
  std::string_view rest = rules;
  for (size_t comma = rest.find(','); comma != std::string_view::npos; comma = rest.find(',')) {
    const std::string_view piece = rest.substr(0, comma);
    const size_t colon = piece.find(':');
    if (colon == std::string_view::npos) parse_factor("", rules);
    pieces.emplace_back(static_cast<int64_t>(parse_factor(piece.substr(colon + 1), rules)),
                        parse_factor(piece.substr(0, colon), rules));
    rest.remove_prefix(comma + 1);
  }
  const double last = parse_factor(rest, rules);
  std::sort(pieces.begin(), pieces.end());
  return [=](int64_t step) {
    for (const auto& [until, factor] : pieces) {
      if (step < until) return factor;
    }
    return last;
  };
}

struct Row {
  const char* name;
  LrSchedule (*make)(Request&);
};

constexpr Row table[] = {
    {"linear", linear},
    {"cosine", cosine},
    {"cosine_with_restarts", cosine_with_restarts},
    {"polynomial", polynomial},
    {"constant", constant},
    {"constant_with_warmup", constant_with_warmup},
    {"inverse_sqrt", inverse_sqrt},
    {"cosine_with_min_lr", cosine_with_min_lr},
    {"warmup_stable_decay", warmup_stable_decay},
    {"piecewise_constant", piecewise_constant},
};

}  // namespace

StepsOrRatio parse_steps_or_ratio(std::string_view text, std::string_view option) {
  const bool percent = text.ends_with('%');
  const std::string_view digits = percent ? text.substr(0, text.size() - 1) : text;
  const auto parsed = [&](auto& value) {
    const auto [stop, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    return error == std::errc() && stop == digits.data() + digits.size() && value >= 0;
  };
  if (int64_t steps = 0; !percent && parsed(steps)) return steps;
  if (double number = 0; parsed(number) && (percent ? number <= 100 : number < 1)) {
    return percent ? number / 100.0 : number;
  }
  fail("{} is '{}', expected a whole number of steps (100), a part below 1 (0.1) or a percentage (10%)", option, text);
}

int64_t resolve_steps(const StepsOrRatio& value, int64_t num_steps) {
  if (const auto* steps = std::get_if<int64_t>(&value)) return *steps;
  return static_cast<int64_t>(std::get<double>(value) * static_cast<double>(num_steps));
}

LrSchedule make_lr_schedule(const LrScheduleConfig& config) {
  for (const Row& row : table) {
    if (config.name != row.name) continue;
    const std::vector<NamedArg> args = parse_named_args(config.args, "--lr_scheduler_args");
    Request request{config,
                    {args, "learning-rate schedule " + config.name, "--lr_scheduler_args"},
                    config.num_steps,
                    resolve_steps(config.warmup, config.num_steps),
                    resolve_steps(config.decay, config.num_steps)};
    LrSchedule schedule = row.make(request);
    request.args.finish();
    return schedule;
  }
  fail("--lr_scheduler '{}' is not available{}", config.name, known_names_hint(config.name, lr_schedule_names()));
}

std::vector<std::string> lr_schedule_names() {
  std::vector<std::string> names;
  for (const Row& row : table) names.emplace_back(row.name);
  return names;
}

LrScheduler::LrScheduler(LrSchedule schedule, Optimizer& optimizer)
    : schedule_(std::move(schedule)), optimizer_(optimizer) {
  for (const ParamGroup& group : optimizer.groups()) initial_lrs_.push_back(group.lr);
  restore(0);
}

void LrScheduler::restore(int64_t step) {
  step_ = step;
  if (optimizer_.sets_own_lr()) return;
  const double factor = schedule_(step_);
  for (size_t i = 0; i < initial_lrs_.size(); ++i) optimizer_.groups()[i].lr = initial_lrs_[i] * factor;
}

}  // namespace difftune
