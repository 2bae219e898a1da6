"""Makes t5*.safetensors and gemma2*.safetensors, small text encoders, as make_models.py describes; same versions."""
import torch
from make_models import case, randomize
from transformers import CLIPTextConfig, CLIPTextModelWithProjection, Gemma2Config, Gemma2Model, T5Config, T5EncoderModel


def t5():
    config = T5Config(vocab_size=60, d_model=24, d_kv=8, d_ff=40, num_layers=3, num_heads=2, feed_forward_proj="gated-gelu",
                      dropout_rate=0.0, relative_attention_num_buckets=32, relative_attention_max_distance=128)
    model = randomize(T5EncoderModel(config))
    # More tokens than the greatest distance, so that every class of distances occurs.
    ids = torch.randint(2, 60, (1, 150))
    plain = model(ids).last_hidden_state
    pair = torch.randint(2, 60, (2, 12))
    mask = torch.ones(2, 12, dtype=torch.long)
    mask[0, 5:] = 0
    masked = model(pair, attention_mask=mask).last_hidden_state
    layer = "encoder.block."
    state_dict = model.state_dict
    model.state_dict = lambda: {k: v for k, v in state_dict().items() if k != "encoder.embed_tokens.weight"}  # shared.weight
    case("t5", model, {"ids": ids, "pair": pair, "mask": mask}, {"masked": masked, "plain": plain},
         ["shared.weight", "encoder.final_layer_norm.weight", layer + "0.layer.0.SelfAttention.q.weight",
          layer + "1.layer.0.SelfAttention.k.weight", layer + "2.layer.0.SelfAttention.o.weight", layer + "0.layer.1.DenseReluDense.wi_0.weight",
          layer + "1.layer.1.DenseReluDense.wi_1.weight", layer + "0.layer.1.layer_norm.weight",
          layer + "0.layer.0.SelfAttention.relative_attention_bias.weight"])


def gemma2():
    config = Gemma2Config(vocab_size=60, hidden_size=24, intermediate_size=40, num_hidden_layers=4, num_attention_heads=4,
                          num_key_value_heads=2, head_dim=8, query_pre_attn_scalar=8, attn_logit_softcapping=2.0, sliding_window=64)
    ids = torch.randint(3, 60, (2, 12))
    mask = torch.ones(2, 12, dtype=torch.long)
    mask[0, 7:] = 0
    for attention in ("sdpa", "eager"):  # without and with the cap of scores
        torch.manual_seed(5)
        model = Gemma2Model._from_config(config, attn_implementation=attention)
        randomize(model)
        with torch.no_grad():
            for name, p in model.named_parameters():
                if p.dim() == 1:
                    p.copy_((p - 1).half())  # counts from 1
                elif "_proj" in name and "self_attn" in name:
                    p.copy_((p * 2).half())  # scores that the cap acts on
        states = model(ids, attention_mask=mask, output_hidden_states=True, use_cache=False).hidden_states
        plain = model(ids, output_hidden_states=True, use_cache=False).hidden_states
        layer = "layers."
        case("gemma2" if attention == "sdpa" else "gemma2_capped", model, {"ids": ids, "mask": mask}, {"masked": states[-2], "plain": plain[-2]},
             ["embed_tokens.weight", layer + "0.self_attn.q_proj.weight", layer + "1.self_attn.k_proj.weight", layer + "1.self_attn.v_proj.weight",
              layer + "2.self_attn.o_proj.weight", layer + "0.mlp.gate_proj.weight", layer + "1.mlp.up_proj.weight", layer + "2.mlp.down_proj.weight",
              layer + "0.input_layernorm.weight", layer + "2.post_feedforward_layernorm.weight"])


def clip_masked():
    """CLIP as SD3 uses it where padding is masked: the layer before the last, and the projected feature."""
    model = randomize(CLIPTextModelWithProjection(CLIPTextConfig(
        vocab_size=30, hidden_size=16, intermediate_size=32, num_hidden_layers=3, num_attention_heads=2, max_position_embeddings=11,
        projection_dim=12, hidden_act="gelu", eos_token_id=2, bos_token_id=28, pad_token_id=0)))
    ids = torch.randint(1, 28, (2, 11))
    ids[:, 0], ids[0, 5], ids[1, 8], ids[0, 6:], ids[1, 9:] = 28, 29, 29, 0, 0
    mask = torch.ones(2, 11, dtype=torch.long)
    mask[0, 6:] = mask[1, 9:] = 0
    out = model(ids, attention_mask=mask, output_hidden_states=True)
    case("clip_masked", model, {"ids": ids, "mask": mask}, {"hidden": out.hidden_states[-2], "pooled": out.text_embeds},
         ["text_model.encoder.layers.0.self_attn.q_proj.weight"])


torch.manual_seed(21)
t5()
gemma2()
clip_masked()
