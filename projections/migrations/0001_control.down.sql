DROP TABLE sensorium.checkpoints;
DROP TABLE sensorium.models;
