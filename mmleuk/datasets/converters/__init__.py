"""Convert annotations between COCO, VOC and YOLO; COCO JSON is always one side or the intermediate form."""
