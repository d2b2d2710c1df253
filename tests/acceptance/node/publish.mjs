import axios from 'axios';

const synapseUrl = process.env.SYNAPSE_URL || 'http://synapse:8002';

// Publish event via Synapse API (if implemented)
await axios.post(`${synapseUrl}/events/inference-events`, {
  event_type: 'inference-complete',
  request_id: 'req_123',
  model_name: 'task-classifier-v2',
  latency_ms: 45,
  confidence: 0.92
});
