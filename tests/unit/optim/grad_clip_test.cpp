#include "optim/grad_clip.h"

#include "../diffusion/expected.h"

namespace difftune {
namespace {

TEST(GradClipTest, norm_and_scaled_gradients_are_those_of_torch) {
  const nlohmann::json expected = read_expected("optim/optimizers.json");
  for (const nlohmann::json& row : expected.at("clipped")) {
    std::vector<at::Tensor> params;
    for (size_t i = 0; i < 3; ++i) {
      params.push_back(to_tensor(expected.at("start")[i]).set_requires_grad(true));
      const nlohmann::json& grad = expected.at("gradients")[3][i];
      if (!grad.is_null()) params[i].mutable_grad() = to_tensor(grad);
    }
    EXPECT_TRUE(as_in_python(grad_norm(params), to_tensor(row.at("norm"))));
    EXPECT_TRUE(as_in_python(clip_grad_norm(params, row.at("max_norm")), to_tensor(row.at("norm"))));
    for (size_t i = 0; i < 3; ++i) {
      const nlohmann::json& grad = row.at("gradients")[i];
      ASSERT_EQ(params[i].grad().defined(), !grad.is_null());
      if (!grad.is_null()) {
        EXPECT_TRUE(as_in_python(params[i].grad(), to_tensor(grad)));
      }
    }
  }
}

TEST(GradClipTest, nothing_to_clip) { EXPECT_EQ(clip_grad_norm({}, 1.0).item<float>(), 0); }

}  // namespace
}  // namespace difftune
