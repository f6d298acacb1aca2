// Attention kernels.
#include "attention/attention_backward-inl.h"
#include "attention/attention_forward-inl.h"
