#include "train/listeners/tensorboard_listener.h"

#include <fmt/format.h>

#include <map>

namespace difftune {

void TensorboardListener::on_batch(const BatchReport& report) {
  const auto add = [&](const std::string& tag, double value) { writer_.add_scalar(tag, value, report.step); };
  add("loss/current", report.loss);
  add("loss/average", report.average_loss);
  for (const auto& [tag, value] : report.values) add(tag, value);
  // Groups may share a name; the last one's rate counts.
  std::map<std::string, double> rates(report.learning_rates.rbegin(), report.learning_rates.rend());
  for (const auto& [name, rate] : rates) add("lr/" + name, rate);
  // The reference logs every rate once more by its number.
  for (size_t i = 0; i < report.learning_rates.size(); ++i) {
    const double rate = report.learning_rates[i].second;
    if (i == 0 && trains_text_encoder_) {
      if (report.learning_rates[i].first != "textencoder") add("lr/textencoder", rate);
    } else {
      add(fmt::format("lr/group{}", i), rate);
    }
  }
  writer_.flush();
}

void TensorboardListener::on_epoch_end(const EpochReport& report) {
  writer_.add_scalar("loss/epoch_average", report.average_loss, report.epoch + 1);
  writer_.flush();
}

}  // namespace difftune
