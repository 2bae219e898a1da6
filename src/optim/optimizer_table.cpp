#include "optim/optimizer_table.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <tuple>

#include "base/error.h"
#include "base/log.h"
#include "optim/adafactor.h"
#include "optim/adamw.h"
#include "optim/known_names.h"
#include "optim/lion.h"
#include "optim/named_arg_reader.h"
#include "optim/prodigy.h"
#include "optim/sgd_nesterov.h"

namespace difftune {
namespace {

// What a maker gets: `args` may be completed with the defaults that the reference writes into the metadata.
struct Request {
  std::vector<NamedArg> args;
  std::vector<ParamGroup> groups;
  double learning_rate;

  NamedArgReader reader(const std::string& name) const { return {args, "optimizer " + name, "--optimizer_args"}; }
  NamedArg* find(const std::string& name) {
    const auto found = std::find_if(args.begin(), args.end(), [&](const NamedArg& arg) { return arg.name == name; });
    return found == args.end() ? nullptr : &*found;
  }
};

std::unique_ptr<Optimizer> make_adamw(Request& request) {
  NamedArgReader args = request.reader("AdamW");
  AdamWConfig config;
  std::tie(config.beta1, config.beta2) = args.pair("betas", {config.beta1, config.beta2});
  config.eps = args.number("eps", config.eps);
  config.weight_decay = args.number("weight_decay", config.weight_decay);
  config.amsgrad = args.flag("amsgrad", config.amsgrad);
  config.maximize = args.flag("maximize", config.maximize);
  for (const char* name : {"foreach", "fused", "capturable"}) args.without_effect(name);
  args.finish();
  return std::make_unique<AdamW>(std::move(request.groups), config);
}

std::unique_ptr<Optimizer> make_lion(Request& request) {
  NamedArgReader args = request.reader("Lion");
  LionConfig config;
  config.learning_rate = request.learning_rate;
  std::tie(config.beta1, config.beta2) = args.pair("betas", {config.beta1, config.beta2});
  config.weight_decay = args.number("weight_decay", config.weight_decay);
  config.decoupled_weight_decay = args.flag("decoupled_weight_decay", config.decoupled_weight_decay);
  args.without_effect("use_triton");
  args.finish();
  return std::make_unique<Lion>(std::move(request.groups), config);
}

std::unique_ptr<Optimizer> make_sgd_nesterov(Request& request) {
  if (!request.find("momentum")) request.args.push_back({"momentum", {0.9}});
  NamedArgReader args = request.reader("SGDNesterov");
  SgdNesterovConfig config;
  config.momentum = args.number("momentum", config.momentum);
  config.weight_decay = args.number("weight_decay", config.weight_decay);
  config.maximize = args.flag("maximize", config.maximize);
  for (const char* name : {"foreach", "fused"}) args.without_effect(name);
  args.finish();
  return std::make_unique<SgdNesterov>(std::move(request.groups), config);
}

std::unique_ptr<Optimizer> make_adafactor(Request& request) {
  if (!request.find("relative_step")) request.args.push_back({"relative_step", {true}});
  const NamedArg* warmup = request.find("warmup_init");
  if (warmup && warmup->value == PythonLiteral{true}) request.find("relative_step")->value = {true};
  NamedArgReader args = request.reader("Adafactor");
  AdafactorConfig config;
  std::tie(config.eps_gradient, config.eps_parameter) = args.pair("eps", {config.eps_gradient, config.eps_parameter});
  config.clip_threshold = args.number("clip_threshold", config.clip_threshold);
  config.decay_rate = args.number("decay_rate", config.decay_rate);
  config.beta1 = args.optional_number("beta1");
  config.weight_decay = args.number("weight_decay", config.weight_decay);
  config.scale_parameter = args.flag("scale_parameter", config.scale_parameter);
  config.relative_step = args.flag("relative_step", config.relative_step);
  config.warmup_init = args.flag("warmup_init", config.warmup_init);
  args.finish();
  if (config.relative_step) {
    log::info("Adafactor with relative_step sets its own learning rate; those of the command line are not used");
    for (ParamGroup& group : request.groups) group.lr = request.learning_rate;
  }
  return std::make_unique<Adafactor>(std::move(request.groups), config);
}

std::unique_ptr<Optimizer> make_prodigy(Request& request) {
  NamedArgReader args = request.reader("Prodigy");
  ProdigyConfig config;
  std::tie(config.beta1, config.beta2) = args.pair("betas", {config.beta1, config.beta2});
  config.beta3 = args.optional_number("beta3");
  config.eps = args.number("eps", config.eps);
  config.weight_decay = args.number("weight_decay", config.weight_decay);
  config.decouple = args.flag("decouple", config.decouple);
  config.use_bias_correction = args.flag("use_bias_correction", config.use_bias_correction);
  config.safeguard_warmup = args.flag("safeguard_warmup", config.safeguard_warmup);
  config.d0 = args.number("d0", config.d0);
  config.d_coef = args.number("d_coef", config.d_coef);
  config.growth_rate = args.number("growth_rate", config.growth_rate);
  config.slice_p = static_cast<int64_t>(args.number("slice_p", 1));
  args.without_effect("fsdp_in_use");
  args.finish();
  return std::make_unique<Prodigy>(std::move(request.groups), config);
}

struct Row {
  const char* name;
  const char* python_class;  // as the reference's metadata names it
  std::unique_ptr<Optimizer> (*make)(Request&);
};

constexpr Row table[] = {
    {"AdamW", "torch.optim.adamw.AdamW", make_adamw},
    {"Lion", "lion_pytorch.lion_pytorch.Lion", make_lion},
    {"SGDNesterov", "torch.optim.sgd.SGD", make_sgd_nesterov},
    {"Adafactor", "transformers.optimization.Adafactor", make_adafactor},
    {"Prodigy", "prodigyopt.prodigy.Prodigy", make_prodigy},
};

std::string lower_case(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

const Row& row_of(const std::string& type) {
  const std::string name = type.empty() ? "adamw" : lower_case(type);
  for (const Row& row : table) {
    if (lower_case(row.name) == name) return row;
  }
  fail("--optimizer_type '{}' is not available{}", type, known_names_hint(type, optimizer_names()));
}

std::string description(const Row& row, const std::vector<NamedArg>& args) {
  std::vector<std::string> texts;
  for (const NamedArg& arg : args) texts.push_back(arg.name + "=" + arg.value.str());
  return texts.empty() ? row.python_class : fmt::format("{}({})", row.python_class, fmt::join(texts, ","));
}

}  // namespace

std::unique_ptr<Optimizer> make_optimizer(const OptimizerConfig& config, std::vector<ParamGroup> groups) {
  const Row& row = row_of(config.type);
  Request request{parse_named_args(config.args, "--optimizer_args"), std::move(groups), config.learning_rate};
  std::unique_ptr<Optimizer> optimizer = row.make(request);
  optimizer->set_description(description(row, request.args));
  return optimizer;
}

std::vector<std::string> optimizer_names() {
  std::vector<std::string> names;
  for (const Row& row : table) names.emplace_back(row.name);
  return names;
}

}  // namespace difftune
